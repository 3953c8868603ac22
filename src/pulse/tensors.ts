import { GrailError } from '../protocol/errors.ts';
import { IntegerModel } from './integers.ts';
import { type BitCoder, BitModel } from './range-coder.ts';

/** The element types of an exact policy. */
export type Dtype = 'int8' | 'int32';

/** A published tensor's type and dimensions, outermost first. */
export interface TensorShape {
  readonly dtype: Dtype;
  readonly dims: readonly number[];
}

/** The elements of one tensor that differ from the base. */
export interface TensorChanges {
  /** Flat row-major positions, ascending. */
  readonly positions: readonly number[];
  /** `target − base` at each position, never 0. */
  readonly deltas: readonly number[];
}

/** Largest magnitude of an element, whatever the architecture: an int8 weight, an int32 bias. */
export const LIMITS: Readonly<Record<Dtype, number>> = { int8: 127, int32: 131_072 };
/** Bits of the number of trailing zeros that all values of an int32 tensor share. */
const STEP_BITS = 5;

export function tensorSize(shape: TensorShape): number {
  return shape.dims.reduce((size, dim) => size * dim, 1);
}

class ChangeModels {
  readonly any = new BitModel(1);
  readonly sign = new BitModel(3);
  readonly magnitude: IntegerModel;
  constructor(dtype: Dtype) {
    this.magnitude = new IntegerModel(2 * LIMITS[dtype]);
  }
}

/** The body of a patch: per tensor the number of changes, then gap, sign and magnitude of each. */
export function codeChanges(
  coder: BitCoder,
  shapes: readonly TensorShape[],
  changes: readonly TensorChanges[] | null,
): TensorChanges[] {
  const models = { int8: new ChangeModels('int8'), int32: new ChangeModels('int32') };
  return shapes.map((shape, i) => codeTensorChanges(coder, shape, models[shape.dtype], changes?.[i]));
}

function codeTensorChanges(
  coder: BitCoder,
  shape: TensorShape,
  models: ChangeModels,
  known: TensorChanges | undefined,
): TensorChanges {
  const size = tensorSize(shape);
  const positions: number[] = [];
  const deltas: number[] = [];
  const knownCount = known?.positions.length ?? 0;
  if (coder.bit(models.any, 0, knownCount > 0 ? 1 : 0) === 0) return { positions, deltas };
  const count = 1 + coder.direct(32 - Math.clz32(size - 1), knownCount - 1);
  if (count > size) throw new GrailError('PATCH_FORMAT', 'more changes than elements', { got: count });
  const step = shape.dtype === 'int32' ? coder.direct(STEP_BITS, sharedZeros(known?.deltas ?? [])) : 0;
  const gaps = new IntegerModel(size);
  gaps.expectGeometric(count, size);
  // Gradients of one output share its error signal, so changes within a row tend to go the same way.
  const rowLength = shape.dims.length > 1 ? shape.dims.at(-1)! : size;
  let last = -1;
  let sign = 0;
  for (let i = 0; i < count; i++) {
    const position = last + gaps.code(coder, (known?.positions[i] ?? 0) - last);
    if (position >= size)
      throw new GrailError('PATCH_FORMAT', 'a change lies outside its tensor', { got: position });
    const newRow = i === 0 || Math.floor(position / rowLength) !== Math.floor(last / rowLength);
    const context = newRow ? 0 : sign;
    const delta = known?.deltas[i] ?? 0;
    sign = 1 + coder.bit(models.sign, context, delta < 0 ? 1 : 0);
    const magnitude = models.magnitude.code(coder, Math.abs(delta) >>> step) * 2 ** step;
    if (magnitude > 2 * LIMITS[shape.dtype]) {
      throw new GrailError('PATCH_FORMAT', 'a change exceeds its type', { got: magnitude });
    }
    positions.push(position);
    deltas.push(sign === 1 ? magnitude : -magnitude);
    last = position;
  }
  return { positions, deltas };
}

/** The body of an anchor: every element of every tensor. */
export function codeValues(
  coder: BitCoder,
  shapes: readonly TensorShape[],
  values: readonly (Int8Array | Int32Array)[] | null,
): (Int8Array | Int32Array)[] {
  return shapes.map((shape, i) => {
    const known = values?.[i];
    const size = tensorSize(shape);
    const out = shape.dtype === 'int8' ? new Int8Array(size) : new Int32Array(size);
    const step = shape.dtype === 'int32' ? coder.direct(STEP_BITS, sharedZeros(known ?? [])) : 0;
    const magnitudes = new IntegerModel(LIMITS[shape.dtype] + 1);
    const signs = new BitModel(1);
    for (let at = 0; at < size; at++) {
      const value = known?.[at] ?? 0;
      const magnitude = (magnitudes.code(coder, (Math.abs(value) >>> step) + 1) - 1) * 2 ** step;
      if (magnitude > LIMITS[shape.dtype]) {
        throw new GrailError('PATCH_FORMAT', 'a value exceeds its type', { got: magnitude });
      }
      if (magnitude !== 0) out[at] = coder.bit(signs, 0, value < 0 ? 1 : 0) === 0 ? magnitude : -magnitude;
    }
    return out;
  });
}

/** Trailing zero bits that all non-zero values share; 0 when there is none. */
function sharedZeros(values: ArrayLike<number>): number {
  let bits = 0;
  for (let i = 0; i < values.length; i++) bits |= Math.abs(values[i]!);
  return bits === 0 ? 0 : 31 - Math.clz32(bits & -bits);
}
