import { concat, u64 } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { sha256, tag } from '../protocol/hash.ts';
import { TAG_BYTES } from './format.ts';
import type { HistoryHead } from './history.ts';
import { type Kernel, KINDS } from './kernel.ts';
import type { Dtype } from './tensor.ts';

/** The models of each element type of one patch, in and out of the kernel. */
export class ModelBank {
  readonly #kernel: Kernel;
  readonly #saved: Map<Dtype, Uint8Array>;
  #present: Dtype | null = null;

  constructor(kernel: Kernel, head: HistoryHead, uses: boolean) {
    this.#kernel = kernel;
    this.#saved = uses ? unpackModels(head.models) : new Map();
  }

  use(dtype: Dtype): void {
    if (this.#present !== dtype) {
      if (this.#present !== null) this.#saved.set(this.#present, this.#kernel.saveModels());
      this.#kernel.loadModels(this.#saved.get(dtype) ?? EMPTY);
      this.#present = dtype;
    }
    this.#kernel.run.startSymbols();
  }

  /** The history after a patch from `before`. */
  head(before: HistoryHead, baseId: Uint8Array, targetId: Uint8Array): HistoryHead {
    if (this.#present !== null) {
      this.#saved.set(this.#present, this.#kernel.saveModels());
      for (const [dtype, models] of this.#saved) {
        this.#kernel.loadModels(models);
        this.#kernel.run.fade();
        this.#saved.set(dtype, this.#kernel.saveModels());
      }
    }
    const name = sha256(tag('pulse-history'), u64(before.steps), before.tag, baseId, targetId);
    return { steps: before.steps + 1, tag: name.subarray(0, TAG_BYTES), models: packModels(this.#saved) };
  }
}

const EMPTY = new Uint8Array(0);

function packModels(saved: ReadonlyMap<Dtype, Uint8Array>): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [dtype, kind] of Object.entries(KINDS)) {
    const models = saved.get(dtype as Dtype);
    if (models === undefined) continue;
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, models.length);
    parts.push(Uint8Array.of(kind), length, models);
  }
  return concat(...parts);
}

function unpackModels(bytes: Uint8Array): Map<Dtype, Uint8Array> {
  const saved = new Map<Dtype, Uint8Array>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; ) {
    const dtype = Object.entries(KINDS).find(([, kind]) => kind === bytes[at])?.[0];
    const length = at + 5 <= bytes.length ? view.getUint32(at + 1) : Number.POSITIVE_INFINITY;
    if (dtype === undefined || at + 5 + length > bytes.length) {
      throw new GrailError('PATCH_HISTORY_MISMATCH', 'the history is damaged: start from an anchor');
    }
    saved.set(dtype as Dtype, bytes.subarray(at + 5, at + 5 + length));
    at += 5 + length;
  }
  return saved;
}
