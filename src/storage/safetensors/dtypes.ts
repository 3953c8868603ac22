import type { Dtype } from '../../pulse/index.ts';

interface Carried {
  /** Bytes of an element in the file. */
  readonly bytes: number;
  /** The type under which patches carry its bits. */
  readonly as: Dtype;
}

/**
 * Element types of safetensors files. Patches know five; the others travel as bits of one of the same width, those of
 * eight bytes as pairs of int32. The types of less than a byte are left out.
 */
const FILE_DTYPES: Readonly<Record<string, Carried>> = {
  BF16: { bytes: 2, as: 'bf16' },
  F16: { bytes: 2, as: 'f16' },
  F32: { bytes: 4, as: 'f32' },
  I8: { bytes: 1, as: 'int8' },
  I32: { bytes: 4, as: 'int32' },
  BOOL: { bytes: 1, as: 'int8' },
  U8: { bytes: 1, as: 'int8' },
  F8_E4M3: { bytes: 1, as: 'int8' },
  F8_E5M2: { bytes: 1, as: 'int8' },
  F8_E8M0: { bytes: 1, as: 'int8' },
  F8_E4M3FNUZ: { bytes: 1, as: 'int8' },
  F8_E5M2FNUZ: { bytes: 1, as: 'int8' },
  I16: { bytes: 2, as: 'f16' },
  U16: { bytes: 2, as: 'f16' },
  U32: { bytes: 4, as: 'int32' },
  F64: { bytes: 8, as: 'int32' },
  I64: { bytes: 8, as: 'int32' },
  U64: { bytes: 8, as: 'int32' },
  C64: { bytes: 8, as: 'int32' },
};

export const FILE_DTYPE_NAMES = Object.keys(FILE_DTYPES);

/** What a type of a file is; null when no patch can carry it. */
export function fileDtype(name: string): Carried | null {
  return Object.hasOwn(FILE_DTYPES, name) ? FILE_DTYPES[name]! : null;
}

/** The shape under which patches carry a tensor: elements of eight bytes double the last dimension. */
export function carriedShape({ bytes }: Carried, shape: readonly number[]): number[] {
  if (bytes < 8) return [...shape];
  return [...shape.slice(0, -1), 2 * (shape.at(-1) ?? 1)];
}
