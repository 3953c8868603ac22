import { code } from 'wasmcurves/build/bn128_wasm.js';

/** Bytes of a number, an element of F_q², an affine point of G1 and of G2, a Jacobian point of G1, an element of F_q¹². */
export const F1 = 32;
export const F2 = 64;
export const G1_AFFINE = 64;
export const G2_AFFINE = 128;
export const G1_JACOBIAN = 96;
export const F12 = 384;

const PAGE = 65_536;
/** What a call may take beyond the first free byte: its largest is the table of a sum over 65,537 points, 768 KiB. */
const SPARE = 1 << 20;
/** The binary's own data with room for its first calls. */
const FIRST_PAGES = 32;

let compiled: Promise<WebAssembly.Module> | undefined;

type Fn = (...args: number[]) => number;

/** The functions of the binary that this project calls. Arguments are addresses; the result's comes last. */
export interface Bn254Functions {
  readonly f1m_add: Fn;
  readonly f1m_sub: Fn;
  readonly f1m_toMontgomery: Fn;
  readonly f2m_add: Fn;
  readonly f2m_sub: Fn;
  readonly f2m_mul: Fn;
  readonly f2m_mul1: Fn;
  readonly f2m_square: Fn;
  readonly f2m_neg: Fn;
  readonly f2m_conjugate: Fn;
  readonly f2m_copy: Fn;
  readonly f2m_one: Fn;
  readonly f2m_isZero: Fn;
  readonly f2m_eq: Fn;
  readonly ftm_one: Fn;
  readonly ftm_isOne: Fn;
  readonly ftm_mul: Fn;
  readonly ftm_square: Fn;
  readonly g1m_add: Fn;
  readonly g1m_copyAffine: Fn;
  readonly g1m_isZeroAffine: Fn;
  readonly g1m_inCurveAffine: Fn;
  readonly g1m_toAffine: Fn;
  readonly g1m_batchToAffine: Fn;
  readonly g1m_timesScalarAffine: Fn;
  readonly g1m_multiexpAffine: Fn;
  readonly g2m_inCurveAffine: Fn;
  readonly g2m_negAffine: Fn;
  readonly bn128__mulBy024: Fn;
  readonly bn128_finalExponentiation: Fn;
}

/**
 * BN254 in a WebAssembly memory of its own: wasmcurves' functions, the ones that snarkjs computes with, called without
 * a copy in and out of every operation. Numbers lie in memory as 32 little-endian bytes in Montgomery form.
 */
export class Engine {
  readonly fn: Bn254Functions;
  readonly #memory: WebAssembly.Memory;
  #view: DataView;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(fn: Bn254Functions, memory: WebAssembly.Memory) {
    this.fn = fn;
    this.#memory = memory;
    this.#view = new DataView(memory.buffer);
  }

  /** A new engine, without threads: it is gone when nobody refers to it. */
  static async load(): Promise<Engine> {
    const memory = new WebAssembly.Memory({ initial: FIRST_PAGES });
    compiled ??= WebAssembly.compile(Uint8Array.from(atob(code), (character) => character.charCodeAt(0)));
    const instance = (await WebAssembly.instantiate(await compiled, { env: { memory } })) as unknown as {
      readonly exports: Bn254Functions;
    };
    return new Engine(instance.exports, memory);
  }

  /** Room for `bytes`, aligned to 8, with whatever lies there. @throws RangeError when there is no memory */
  alloc(bytes: number): number {
    const at = (this.#free + 7) & ~7;
    const end = at + bytes;
    const missing = end + SPARE - this.#view.byteLength;
    if (missing > 0) {
      this.#memory.grow(Math.ceil(missing / PAGE));
      this.#view = new DataView(this.#memory.buffer);
    }
    this.#free = end;
    return at;
  }

  get #free(): number {
    return this.#view.getUint32(0, true);
  }

  set #free(address: number) {
    this.#view.setUint32(0, address, true);
  }

  /** Runs `work` and frees what it allocated. */
  scoped<T>(work: () => T): T {
    const before = this.#free;
    try {
      return work();
    } finally {
      this.#free = before;
    }
  }

  /** The same for work that lets others run in between; calls come one after another, each when the last has ended. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(async () => {
      const before = this.#free;
      try {
        return await work();
      } finally {
        this.#free = before;
      }
    });
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** A scalar as `width` little-endian bytes at `at`, a multiple of 8. */
  writeScalar(at: number, value: bigint, width: number): void {
    for (let i = 0; i < width; i += 8) {
      this.#view.setBigUint64(at + i, BigInt.asUintN(64, value >> BigInt(8 * i)), true);
    }
  }

  /** A coordinate in [0, q). */
  writeNumber(at: number, value: bigint): void {
    this.writeScalar(at, value, F1);
    this.fn.f1m_toMontgomery(at, at);
  }

  /** A copy of what lies in memory. */
  read(at: number, bytes: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer, at, bytes).slice();
  }
}
