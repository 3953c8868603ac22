import { GrailError } from '../../protocol/errors.ts';
import { BINARY } from './binary.ts';

/** Functions of assembly/bn254/index.ts; addresses and counts throughout. */
export interface KernelExports {
  init(q: number, r: number, b3: number, scratch: number): number;
  mul(field: number, out: number, x: number, y: number): void;
  mulAdd(field: number, out: number, x: number, y: number, z: number, w: number): void;
  addReduced(field: number, out: number, x: number, y: number): void;
  subReduced(field: number, out: number, x: number, y: number): void;
  inverse(field: number, out: number, x: number, work: number): void;
  addPoints(degree: number, out: number, p: number, q: number): void;
  setInfinity(degree: number, out: number): void;
  setLane(degree: number, out: number, lane: number, point: number, negative: number): void;
  toAffine(degree: number, out: number, p: number): void;
  addAffine(degree: number, out: number, from: number, tasks: number, count: number, work: number): number;
  batchBytes(degree: number): number;
  importNumbers(field: number, out: number, from: number, count: number, factor: number): void;
  exportNumbers(field: number, out: number, from: number, count: number): void;
  sumOfMultiples(
    degree: number,
    out: number,
    table: number,
    indices: number,
    n: number,
    scalars: number,
    windowBits: number,
    firstWindow: number,
    endWindow: number,
    work: number,
  ): void;
  workBytes(degree: number, n: number, windowBits: number): number;
  powers(out: number, first: number, step: number, count: number): void;
  scale(data: number, factors: number, count: number): void;
  fftFromReversed(data: number, n: number, roots: number): void;
  fftToReversed(data: number, n: number, roots: number): void;
  unpackScalars(out: number, from: number, n: number): void;
  matrixTimesVector(
    out: number,
    rows: number,
    order: number,
    ends: number,
    wires: number,
    coefficients: number,
    values: number,
  ): void;
  products(out: number, a: number, b: number, pairs: number): void;
  quotient(out: number, a: number, b: number, c: number, pairs: number): void;
}

/** Bytes of one number by itself, of a pair, and of an affine point of each degree. */
export const SINGLE = 40;
export const PAIR = 80;
export const pointBytes = (degree: number): number => 2 * degree * SINGLE;

const PAGE = 65_536;
/** As compiled; only what is used is backed by memory. */
export const MAXIMUM_PAGES = 32_768;
const SCRATCH_BYTES = 16_384;

/** Where a memory's first user put the constants. */
export interface KernelConstants {
  readonly q: number;
  readonly r: number;
  readonly b3: number;
}

let compiled: Promise<WebAssembly.Module> | undefined;

/** An instance of the kernel: functions, and an allocator of the memory that never frees. */
export class Kernel {
  readonly memory: WebAssembly.Memory;
  readonly constants: KernelConstants;
  readonly run: KernelExports;
  #next: number;

  private constructor(
    memory: WebAssembly.Memory,
    run: KernelExports,
    constants: KernelConstants,
    next: number,
  ) {
    this.memory = memory;
    this.run = run;
    this.constants = constants;
    this.#next = next;
  }

  /** The first instance over a memory, which the constants are already in. @param free the first free address */
  static first(memory: WebAssembly.Memory, constants: KernelConstants, free: number): Promise<Kernel> {
    return Kernel.#over(memory, constants, free, false);
  }

  /**
   * Another thread's instance over the same memory. It allocates nothing.
   * @param scratch `Kernel.scratchBytes` that the memory's owner allocated for this thread
   */
  static join(memory: WebAssembly.Memory, constants: KernelConstants, scratch: number): Promise<Kernel> {
    return Kernel.#over(memory, constants, scratch, true);
  }

  static readonly scratchBytes = SCRATCH_BYTES;

  static async #over(
    memory: WebAssembly.Memory,
    constants: KernelConstants,
    scratch: number,
    joined: boolean,
  ): Promise<Kernel> {
    compiled ??= WebAssembly.compile(Buffer.from(BINARY, 'base64'));
    const instance = await WebAssembly.instantiate(await compiled, { env: { memory } });
    const run = instance.exports as unknown as KernelExports;
    const { q, r, b3 } = constants;
    if (run.init(q, r, b3, scratch) !== SCRATCH_BYTES) {
      throw new GrailError('INTERNAL', 'the proving kernel and its loader are of different versions');
    }
    return new Kernel(memory, run, constants, joined ? Number.POSITIVE_INFINITY : scratch + SCRATCH_BYTES);
  }

  /**
   * `bytes` of the memory, zeroed, at a multiple of 64.
   * @throws GrailError PROVER_FAILED when the machine has no more memory
   */
  allocate(bytes: number): number {
    const at = Math.ceil(this.#next / 64) * 64;
    const end = at + bytes;
    const missing = Math.ceil((end - this.memory.buffer.byteLength) / PAGE);
    if (missing > 0) {
      try {
        this.memory.grow(missing);
      } catch (error) {
        throw new GrailError(
          'PROVER_FAILED',
          `no memory for proving: ${Math.ceil(end / 2 ** 20)} MiB are needed`,
          { bytes: end },
          { cause: error },
        );
      }
    }
    this.#next = end;
    return at;
  }

  /** The memory as it is now; it moves when memory is allocated. */
  bytes(at: number, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, at, length);
  }

  words(at: number, length: number): Uint32Array {
    return new Uint32Array(this.memory.buffer, at, length);
  }

  get view(): DataView {
    return new DataView(this.memory.buffer);
  }
}
