/** The part of ffjavascript that this project uses; the package has no types of its own. */
declare module 'ffjavascript' {
  /** Points are little-endian Montgomery bytes: affine (two coordinates) or Jacobian (three). */
  export interface Group {
    readonly zeroAffine: Uint8Array;
    readonly F: { fromObject(value: readonly bigint[]): Uint8Array };
    readonly g: Uint8Array;
    fromObject(point: readonly unknown[]): Uint8Array;
    toObject(point: Uint8Array): unknown[];
    toAffine(point: Uint8Array): Uint8Array;
    toJacobian(point: Uint8Array): Uint8Array;
    add(a: Uint8Array, b: Uint8Array): Uint8Array;
    neg(a: Uint8Array): Uint8Array;
    eq(a: Uint8Array, b: Uint8Array): boolean;
    isZero(a: Uint8Array): boolean;
    isValid(a: Uint8Array): boolean;
    timesScalar(a: Uint8Array, scalar: bigint): Uint8Array;
    multiExpAffine(bases: Uint8Array, scalars: Uint8Array): Promise<Uint8Array>;
    /** A point whose logarithm nobody knows, drawn from a generator. */
    fromRng(rng: ChaCha): Uint8Array;
    /** Big-endian coordinates, no Montgomery form, c1 before c0; infinity has a flag. */
    toUncompressed(point: Uint8Array): Uint8Array;
    fromRprUncompressed(bytes: Uint8Array, offset: number): Uint8Array;
  }

  export class ChaCha {
    /** @param seed eight 32-bit words */
    constructor(seed: readonly number[]);
  }

  export interface WasmExports {
    readonly [name: string]: (...args: number[]) => number;
  }

  export interface ThreadManager {
    readonly memory: WebAssembly.Memory;
    readonly instance: { readonly exports: WasmExports };
    readonly pG1gen: number;
    readonly pG2gen: number;
    /** Views of `memory`; stale once it has grown. `u32[0]` is the first free byte. */
    u8: Uint8Array;
    u32: Uint32Array;
    /** Until `endSyncOp` what is allocated stays; then all of it is free again. */
    startSyncOp(): void;
    endSyncOp(): void;
    alloc(bytes: number): number;
    allocBuff(bytes: Uint8Array): number;
    setBuff(pointer: number, bytes: Uint8Array): void;
    getBuff(pointer: number, bytes: number): Uint8Array;
  }

  export interface Curve {
    readonly name: string;
    readonly q: bigint;
    readonly r: bigint;
    readonly tm: ThreadManager;
    readonly G1: Group;
    readonly G2: Group;
    readonly Fr: {
      readonly w: readonly Uint8Array[];
      toObject(a: Uint8Array): bigint;
    };
    /** Bytes of prepared points. */
    readonly prePSize: number;
    readonly preQSize: number;
    readonly Gt: {
      readonly n8: number;
      readonly one: Uint8Array;
      mul(a: Uint8Array, b: Uint8Array): Uint8Array;
      eq(a: Uint8Array, b: Uint8Array): boolean;
      toObject(a: Uint8Array): unknown[];
    };
    pairing(a: Uint8Array, b: Uint8Array): Uint8Array;
    prepareG1(jacobian: Uint8Array): Uint8Array;
    prepareG2(jacobian: Uint8Array): Uint8Array;
    millerLoop(preparedG1: Uint8Array, preparedG2: Uint8Array): Uint8Array;
    finalExponentiation(a: Uint8Array): Uint8Array;
    terminate(): Promise<void>;
  }

  export function buildBn128(singleThread: boolean): Promise<Curve>;
}
