import { GrailError } from '../protocol/errors.ts';
import { BINARY } from './binary.ts';
import { pushVarint } from './format.ts';
import { type Dtype, ITEM_BYTES } from './tensor.ts';

/**
 * The codec's kernel (assembly/pulse) and its memory. A kernel has room for one block of weights and their code; what it
 * knows of a chain are the models, which can be taken out and put back.
 */

/** Weights of a block. */
export const BLOCK = 65_536;
/** How the kernel names element types. */
export const KINDS: Readonly<Record<Dtype, number>> = { bf16: 0, f16: 1, f32: 2, int8: 3, int32: 4 };

// Addresses of assembly/pulse/layout.ts.
const MODELS = 0x70000;
const BITS = 0x80000;
const BITS_END = BITS + 4 * 17_698;
const ACTIVITY = 0x95000;
const MODELS_END = 0x95100;
const BASE_BLOCK = 0x100000;
const TARGET_BLOCK = 0x140000;
const MARKS_BLOCK = 0x180000;
const CODE = 0x1a0000;
/** Twice what the code of a block can take: 16 bytes a weight. */
const CODE_BYTES = 0x200000;
const PAGE = 65_536;
/** An adaptive bit that has decided nothing. */
const EVEN = 0x8000_0000;

interface Exports {
  init(): void;
  clearModels(): void;
  collect(): void;
  fade(): void;
  startEncoder(): void;
  drain(): number;
  finishEncoder(): void;
  startDecoder(bytes: number): void;
  unread(): number;
  refill(bytes: number): void;
  overrun(): number;
  isCanonical(): number;
  isInvalid(): number;
  startSymbols(): void;
  startHash(low: bigint, high: bigint): void;
  getHashLow(): bigint;
  getHashHigh(): bigint;
  getChanged(): bigint;
  getIdle(): bigint;
  hashBlock(kind: number, count: number): void;
  startTensor(index: bigint, row: bigint): void;
  getStepBits(): number;
  startSurvey(): void;
  surveyBlock(kind: number, first: bigint, count: number): number;
  isUneven(elements: number): number;
  startPatch(overwrites: number): void;
  encodeHead(kind: number, elements: number, quarters: number, zeros: number, rows: number): void;
  getQuarters(): number;
  getZeros(): number;
  getByRows(): number;
  decodeHead(kind: number, elements: number): number;
  scaleBlock(kind: number, count: number): void;
  encodeBf16(count: number): void;
  encodeF16(count: number): void;
  encodeF32(count: number): void;
  encodeInt8(count: number): void;
  encodeInt32(count: number): void;
  decodeBf16(count: number): void;
  decodeF16(count: number): void;
  decodeF32(count: number): void;
  decodeInt8(count: number): void;
  decodeInt32(count: number): void;
  encodeEnd(): void;
  decodeEnd(): void;
  growBlock(count: number): void;
  surveyValues(count: number): void;
  encodeValuesHead(kind: number, elements: number, zeros: number): void;
  decodeValuesHead(kind: number, elements: number): void;
  encodeValues(kind: number, count: number): void;
  decodeValues(kind: number, count: number): void;
}

const ignore = (): void => {};

let module: WebAssembly.Module | undefined;
/** Kernels that no one uses at the moment: a codec that reads from another one needs two. */
const idle: Kernel[] = [];

export class Kernel {
  readonly run: Exports;
  readonly bytes: Uint8Array;
  /** Bytes of code that the decoder was given. */
  #input = 0;
  readonly #encoders: Readonly<Record<Dtype, (count: number) => void>>;
  readonly #decoders: Readonly<Record<Dtype, (count: number) => void>>;
  /** Takes code that the encoder has no room for until the next `drain`: a carry may end a run of any length. */
  spill: (chunk: Uint8Array) => void = ignore;

  /** A kernel for one use; `release` gives it back. @throws GrailError BACKEND_UNAVAILABLE without WebAssembly SIMD */
  static acquire(): Kernel {
    return idle.pop() ?? new Kernel();
  }

  private constructor() {
    const memory = new WebAssembly.Memory({ initial: (CODE + CODE_BYTES) / PAGE });
    try {
      module ??= new WebAssembly.Module(Uint8Array.from(atob(BINARY), (char) => char.charCodeAt(0)));
      const spill = (bytes: number) => this.spill(this.bytes.subarray(CODE, CODE + bytes));
      this.run = new WebAssembly.Instance(module, { env: { memory, spill } }).exports as unknown as Exports;
    } catch (cause) {
      throw new GrailError(
        'BACKEND_UNAVAILABLE',
        'PULSE needs WebAssembly with SIMD, which this runtime lacks: use a current browser or Node',
        {},
        { cause },
      );
    }
    this.bytes = new Uint8Array(memory.buffer);
    const { run } = this;
    this.#encoders = {
      bf16: run.encodeBf16,
      f16: run.encodeF16,
      f32: run.encodeF32,
      int8: run.encodeInt8,
      int32: run.encodeInt32,
    };
    this.#decoders = {
      bf16: run.decodeBf16,
      f16: run.decodeF16,
      f32: run.decodeF32,
      int8: run.decodeInt8,
      int32: run.decodeInt32,
    };
    run.init();
  }

  release(): void {
    this.spill = ignore;
    if (idle.length < 2) idle.push(this);
  }

  /** Puts elements [from, from + count) of a tensor's bytes where the base's block lies. */
  loadBase(dtype: Dtype, bytes: Uint8Array, from: number, count: number): void {
    this.#load(BASE_BLOCK, ITEM_BYTES[dtype], bytes, from, count);
  }

  loadTarget(dtype: Dtype, bytes: Uint8Array, from: number, count: number): void {
    this.#load(TARGET_BLOCK, ITEM_BYTES[dtype], bytes, from, count);
  }

  /** Marks of a block; without any, those of weights that never changed. */
  loadMarks(marks: Uint8Array | null, from: number, count: number): void {
    if (marks === null) this.bytes.fill(63, MARKS_BLOCK, MARKS_BLOCK + count);
    else this.#load(MARKS_BLOCK, 1, marks, from, count);
  }

  storeMarks(marks: Uint8Array, from: number, count: number): void {
    marks.set(this.bytes.subarray(MARKS_BLOCK, MARKS_BLOCK + count), from);
  }

  /** Takes the base's block out: after decoding it is the target's. */
  storeBase(dtype: Dtype, bytes: Uint8Array, from: number, count: number): void {
    const size = ITEM_BYTES[dtype];
    bytes.set(this.bytes.subarray(BASE_BLOCK, BASE_BLOCK + size * count), size * from);
  }

  encodeBlock(dtype: Dtype, count: number): void {
    this.#encoders[dtype](count);
  }

  decodeBlock(dtype: Dtype, count: number): void {
    this.#decoders[dtype](count);
  }

  /** What the encoder wrote since the last call; valid until the next one of any method. */
  drain(): Uint8Array {
    return this.bytes.subarray(CODE, CODE + this.run.drain());
  }

  /** Fills the decoder's input from a stream. `start`: the first bytes of a code. Gives whether the stream has ended. */
  fill(take: (max: number) => Uint8Array, start: boolean): boolean {
    let length = 0;
    if (!start) {
      const left = this.run.unread();
      // Enough for a block. Moving it for each of many small tensors would take far longer than they do.
      if (left >= CODE_BYTES / 2) return false;
      const end = CODE + this.#input;
      this.bytes.copyWithin(CODE, end - left, end);
      length = left;
    }
    let ended = false;
    while (length < CODE_BYTES) {
      const part = take(CODE_BYTES - length);
      if (part.length === 0) {
        ended = true;
        break;
      }
      this.bytes.set(part, CODE + length);
      length += part.length;
    }
    this.#input = length;
    if (start) this.run.startDecoder(length);
    else this.run.refill(length);
    return ended;
  }

  /** The models of the present element type, without what never moved: pairs of a gap and a word. */
  saveModels(): Uint8Array {
    this.run.collect();
    const words = new Uint32Array(this.bytes.buffer, MODELS, (MODELS_END - MODELS) / 4);
    const out: number[] = [];
    let last = -1;
    for (let at = 0; at < words.length; at++) {
      const word = (words[at]! ^ defaultWord(at)) >>> 0;
      if (word === 0) continue;
      pushVarint(out, at - last);
      pushVarint(out, word);
      last = at;
    }
    return Uint8Array.from(out);
  }

  /** @throws GrailError PATCH_HISTORY_MISMATCH when they are not what saveModels gives */
  loadModels(saved: Uint8Array): void {
    this.run.collect();
    this.run.clearModels();
    const words = new Uint32Array(this.bytes.buffer, MODELS, (MODELS_END - MODELS) / 4);
    let at = -1;
    let place = 0;
    /** A number above 0 in its shortest form, else NaN. */
    const next = (): number => {
      let value = 0;
      for (let unit = 1; unit < 2 ** 35; unit *= 128) {
        const byte = saved[place++];
        if (byte === undefined || byte === 0) break;
        value += (byte & 127) * unit;
        if (byte < 128) return value;
      }
      return Number.NaN;
    };
    while (place < saved.length) {
      at += next();
      const moved = next();
      const word = (moved ^ defaultWord(at)) >>> 0;
      if (!(at < words.length && moved < 2 ** 32 && isPossible(at, word))) {
        throw new GrailError(
          'PATCH_HISTORY_MISMATCH',
          'the history’s models are damaged: start from an anchor',
        );
      }
      words[at] = word;
    }
  }

  #load(to: number, size: number, bytes: Uint8Array, from: number, count: number): void {
    this.bytes.set(bytes.subarray(size * from, size * (from + count)), to);
  }
}

function isBit(at: number): boolean {
  const address = MODELS + 4 * at;
  return address >= BITS && address < BITS_END;
}

function defaultWord(at: number): number {
  return isBit(at) ? EVEN : 0;
}

/** Whether the kernel can work with a model's word: a chance of 0 or a factor without bound would stop it. */
function isPossible(at: number, word: number): boolean {
  if (isBit(at)) return word >>> 16 >= 32 && word >>> 16 <= 65_504 && (word & 0xffff) < 255;
  // Of each pair of u64 the first is at most 2^16, the second at most 2^32.
  const upper = MODELS + 4 * at >= ACTIVITY && at % 2 === 1;
  return !upper || word <= 1;
}
