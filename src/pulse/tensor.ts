import { GrailError } from '../protocol/errors.ts';

/** Element types of published tensors. Floats are compared and coded as bit patterns. */
export type Dtype = 'int8' | 'int32' | 'bf16' | 'f16' | 'f32';

/** Bytes of an element. */
export const ITEM_BYTES: Readonly<Record<Dtype, number>> = { int8: 1, int32: 4, bf16: 2, f16: 2, f32: 4 };

/** A tensor's name, type and dimensions, outermost first; a scalar has none. */
export interface TensorSpec {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

/** Number of elements; 0 when a dimension is 0. */
export function elementCount(spec: Pick<TensorSpec, 'shape'>): number {
  return spec.shape.reduce((size, dim) => size * dim, 1);
}

export function byteLength(spec: Pick<TensorSpec, 'shape' | 'dtype'>): number {
  return elementCount(spec) * ITEM_BYTES[spec.dtype];
}

/** Bytes of all tensors together. */
export function totalBytes(specs: readonly TensorSpec[]): number {
  return specs.reduce((sum, spec) => sum + byteLength(spec), 0);
}

/**
 * Tensors that are read one at a time, little-endian, row by row. The bytes of `read` are the caller's until the next
 * call; they are never written to.
 */
export interface TensorSource {
  /** In the order in which they are coded: everyone who codes them must list them alike. */
  readonly specs: readonly TensorSpec[];
  /** Bytes of tensor `index`. @throws GrailError TENSORS_INVALID when they cannot be read whole */
  read(index: number): Uint8Array;
}

/** Where decoded tensors go, in order, each whole. The bytes are valid during the call only. */
export interface TensorSink {
  write(index: number, bytes: Uint8Array): void;
  /** Memory to decode tensor `index` into, which `write` is then called with: it saves a copy. */
  buffer?(index: number): Uint8Array;
}

/** A byte stream that is read from front to back. */
export interface ByteSource {
  /** The next bytes, at most `max`, at least one unless the stream has ended. */
  take(max: number): Uint8Array;
}

/** Bytes in memory as a stream. */
export function byteSource(bytes: Uint8Array): ByteSource {
  let at = 0;
  return {
    take(max) {
      const part = bytes.subarray(at, at + max);
      at += part.length;
      return part;
    },
  };
}

/**
 * Tensors in memory, both source and sink. `arrays[i]` holds the bytes of `specs[i]`.
 * @throws GrailError TENSORS_INVALID when a length is not that of its spec
 */
export class MemoryTensors implements TensorSource, TensorSink {
  readonly specs: readonly TensorSpec[];
  readonly arrays: Uint8Array[];

  constructor(specs: readonly TensorSpec[], arrays?: readonly Uint8Array[]) {
    this.specs = specs;
    this.arrays = arrays === undefined ? specs.map((spec) => new Uint8Array(byteLength(spec))) : [...arrays];
    for (const [i, spec] of specs.entries()) {
      const got = this.arrays[i]?.length;
      if (got === byteLength(spec)) continue;
      throw new GrailError('TENSORS_INVALID', `tensor ${spec.name} has not the bytes of its shape`, {
        expected: byteLength(spec),
        got: got ?? null,
      });
    }
  }

  read(index: number): Uint8Array {
    return this.arrays[index]!;
  }

  write(index: number, bytes: Uint8Array): void {
    if (bytes !== this.arrays[index]) this.arrays[index]!.set(bytes);
  }

  buffer(index: number): Uint8Array {
    return this.arrays[index]!;
  }

  /** A copy that shares nothing. */
  clone(): MemoryTensors {
    return new MemoryTensors(
      this.specs,
      this.arrays.map((array) => array.slice()),
    );
  }
}
