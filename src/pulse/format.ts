import { type Architecture, fanIn, type Policy, weightRows } from '../policy/architecture.ts';
import { concat, equalBytes, toHex, utf8 } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { type Dtype, LIMITS, type TensorShape, tensorSize } from './tensors.ts';

/** The bytes in front of a patch's or anchor's code (docs/PROTOCOL.md, PULSE). */

export const MAGIC = utf8('PULS');
export const FORMAT_VERSION = 1;
export const KIND_PATCH = 1;
export const KIND_ANCHOR = 2;
const ROOT_BYTES = 32;
/** Two tensors a layer, sixteen layers. */
const MAX_TENSORS = 32;
/** 1,024 inputs by 4,096 outputs: the largest layer that an architecture may have. */
const MAX_ELEMENTS = 4_194_304;
const DTYPES: Readonly<Record<Dtype, number>> = { int8: 1, int32: 2 };

export function formatError(message: string, details: Record<string, string | number> = {}): GrailError {
  return new GrailError('PATCH_FORMAT', message, details);
}

/** Reads fixed fields and complains when the bytes end. */
export class HeaderReader {
  readonly bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  take(count: number): Uint8Array {
    if (this.at + count > this.bytes.length) {
      throw formatError('the header is cut short', { got: `${this.bytes.length} bytes` });
    }
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  byte(): number {
    return this.take(1)[0]!;
  }

  root(): Uint8Array {
    return this.take(ROOT_BYTES).slice();
  }

  /** An unsigned LEB128 integer of at most `bytes` bytes, in its shortest form. */
  varint(bytes: number): number {
    let value = 0;
    for (let i = 0; i < bytes; i++) {
      const byte = this.byte();
      value += (byte & 127) * 2 ** (7 * i);
      if (byte < 128) {
        if (byte === 0 && i > 0) throw formatError('a length is not in its shortest form');
        return value;
      }
    }
    throw formatError('a length takes too many bytes');
  }

  rest(): Uint8Array {
    return this.bytes.subarray(this.at);
  }
}

/** An unsigned integer as LEB128 in its shortest form. */
export function varint(value: number): Uint8Array {
  const out: number[] = [];
  let rest = value;
  while (rest >= 128) {
    out.push(128 + (rest % 128));
    rest = Math.floor(rest / 128);
  }
  out.push(rest);
  return Uint8Array.from(out);
}

/** Magic, version and kind. */
export function preamble(kind: number): Uint8Array {
  return concat(MAGIC, Uint8Array.of(FORMAT_VERSION, kind));
}

/** @throws GrailError PATCH_FORMAT when the bytes are not this version's `kind`. */
export function readPreamble(bytes: Uint8Array, kind: number): HeaderReader {
  const reader = new HeaderReader(bytes);
  const expected = preamble(kind);
  const got = reader.take(expected.length);
  if (!equalBytes(got, expected)) {
    throw formatError('the bytes are not of this format', { expected: toHex(expected), got: toHex(got) });
  }
  return reader;
}

/** Tensor count, then of each the type, the rank and the dimensions. */
export function encodeShapes(shapes: readonly TensorShape[]): Uint8Array {
  const parts: Uint8Array[] = [Uint8Array.of(shapes.length)];
  for (const { dtype, dims } of shapes) {
    parts.push(Uint8Array.of(16 * DTYPES[dtype] + dims.length), ...dims.map(varint));
  }
  return concat(...parts);
}

/** @throws GrailError PATCH_FORMAT when a type is unknown, or a count or size is out of bounds. */
export function readShapes(reader: HeaderReader): TensorShape[] {
  const count = reader.byte();
  if (count < 1 || count > MAX_TENSORS)
    throw formatError('the number of tensors is out of bounds', { got: count });
  const shapes: TensorShape[] = [];
  for (let i = 0; i < count; i++) {
    const type = reader.byte();
    const dtype = type >>> 4 === 1 ? 'int8' : type >>> 4 === 2 ? 'int32' : null;
    const rank = type & 15;
    if (dtype === null || rank < 1 || rank > 4)
      throw formatError('a tensor has an unknown type', { got: type });
    const dims = Array.from({ length: rank }, () => reader.varint(4));
    const shape: TensorShape = { dtype, dims };
    const size = tensorSize(shape);
    if (size < 1 || size > MAX_ELEMENTS) throw formatError('a tensor’s size is out of bounds', { got: size });
    shapes.push(shape);
  }
  return shapes;
}

/** The published tensors of an architecture, in the order of its tensor bytes. */
export function shapesOf(architecture: Architecture): TensorShape[] {
  return architecture.layers.flatMap((layer): TensorShape[] => [
    { dtype: 'int8', dims: [weightRows(layer), fanIn(layer)] },
    { dtype: 'int32', dims: [weightRows(layer)] },
  ]);
}

/** The largest magnitude of each tensor's elements. */
export function limitsOf(architecture: Architecture): number[] {
  return architecture.layers.flatMap((layer) => [LIMITS.int8, layer.biasMax]);
}

/** A policy's tensors in the order of its tensor bytes; shared with the policy, not copied. */
export function tensorsOf(policy: Policy): (Int8Array | Int32Array)[] {
  return policy.layers.flatMap(({ weight, bias }) => [weight, bias]);
}

/** The policy that holds `tensors`, in `tensorsOf`'s order. */
export function policyOf(architecture: Architecture, tensors: readonly (Int8Array | Int32Array)[]): Policy {
  return {
    architecture,
    layers: architecture.layers.map((_, i) => ({
      weight: tensors[2 * i] as Int8Array,
      bias: tensors[2 * i + 1] as Int32Array,
    })),
  };
}

/** @throws RangeError when a root is not 32 bytes: a mistake of the caller. */
export function requireRoot(root: Uint8Array, name: string): void {
  if (root.length !== ROOT_BYTES) throw new RangeError(`${name} is not ${ROOT_BYTES} bytes`);
}
