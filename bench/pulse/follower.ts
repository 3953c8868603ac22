import { createHash } from 'node:crypto';
import { concat } from '../../src/protocol/bytes.ts';
import {
  applyPatch,
  byteSource,
  encodeAnchor,
  encodePatch,
  FRESH,
  type HistoryHead,
  MemoryMarks,
  MemoryTensors,
  stateId,
  type TensorSpec,
} from '../../src/pulse/index.ts';
import type { NamedTensor } from './rivals/index.ts';
import { bytesOf } from './rivals/rival.ts';

export interface Sync {
  readonly changed: number;
  /** Bytes of the patch, and how many of them are its header. */
  readonly bytes: number;
  readonly headerBytes: number;
  readonly encodeMs: number;
  readonly applyMs: number;
}

export function specsOf(tensors: readonly NamedTensor[]): TensorSpec[] {
  return tensors.map(({ name, dims }) => ({ name, dtype: 'bf16', shape: dims }));
}

/** A state's patterns as tensors that share its memory. */
export function tensorsOf(specs: readonly TensorSpec[], state: Uint16Array): MemoryTensors {
  let at = 0;
  return new MemoryTensors(
    specs,
    specs.map(({ shape }) => {
      const size = shape.reduce((product, dim) => product * dim, 1);
      at += size;
      return bytesOf(state.subarray(at - size, at));
    }),
  );
}

/** A publisher and a receiver of one chain, in one process: every patch is applied and compared by SHA-256. */
export class Follower {
  readonly #specs: readonly TensorSpec[];
  readonly #history: boolean;
  readonly #overwrite: boolean;
  #state: Uint16Array;
  #received: MemoryTensors;
  #id: Uint8Array;
  #marks: MemoryMarks;
  #head: HistoryHead = FRESH;
  #receivedMarks: MemoryMarks;
  #receivedHead: HistoryHead = FRESH;

  /** @param way whether patches use the chain's history, stand alone, or overwrite */
  constructor(tensors: readonly NamedTensor[], initial: Uint16Array, way: 'history' | 'alone' | 'overwrite') {
    this.#specs = specsOf(tensors);
    this.#history = way === 'history';
    this.#overwrite = way === 'overwrite';
    this.#state = initial.slice();
    this.#received = tensorsOf(this.#specs, this.#state).clone();
    this.#id = stateId(this.#received);
    this.#marks = new MemoryMarks(this.#specs);
    this.#receivedMarks = new MemoryMarks(this.#specs);
  }

  /** Brings the receiver to `target`. @throws Error when what it holds then is not the target, bit for bit */
  advance(target: Uint16Array): Sync {
    const base = tensorsOf(this.#specs, this.#state);
    const body: Uint8Array[] = [];
    const began = performance.now();
    const result = encodePatch({
      base,
      target: tensorsOf(this.#specs, target),
      baseId: this.#id,
      overwrite: this.#overwrite,
      ...(this.#history ? { marks: this.#marks, head: this.#head } : {}),
      write: (chunk) => body.push(chunk.slice()),
    });
    const encoded = performance.now();
    const patch = concat(result.header, ...body);
    const sink = new MemoryTensors(this.#specs);
    const applying = performance.now();
    const applied = applyPatch({
      base: this.#received,
      baseId: this.#id,
      patch: byteSource(patch),
      sink,
      targetId: result.targetId,
      ...(this.#history ? { marks: this.#receivedMarks, head: this.#receivedHead } : {}),
    });
    const done = performance.now();
    if (sha256(sink.arrays) !== sha256([bytesOf(target)])) {
      throw new Error('the applied chain is not the source');
    }
    this.#head = result.head;
    this.#receivedHead = applied.head;
    this.#id = result.targetId;
    this.#received = sink;
    this.#state = target.slice();
    return {
      changed: applied.changed,
      bytes: patch.length,
      headerBytes: result.header.length,
      encodeMs: encoded - began,
      applyMs: done - applying,
    };
  }

  /** Bytes of an anchor of the present state. */
  anchorBytes(): number {
    let bytes = 0;
    const { header } = encodeAnchor({
      target: this.#received,
      write: (chunk) => {
        bytes += chunk.length;
      },
    });
    return bytes + header.length;
  }
}

function sha256(parts: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}
