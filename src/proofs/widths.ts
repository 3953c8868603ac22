import { accumulatorBound, type Layer, layerInputs, layerOutputs } from '../policy/architecture.ts';
import { GrailError } from '../protocol/errors.ts';
import type { CircuitSpec } from './types.ts';

/**
 * The numbers that a circuit, its statement and its fold vectors must agree on (docs/PROTOCOL.md, Proof, Widths).
 */

/** Bits of a packed element: every value of 252 bits is below r. */
export const ELEMENT_BITS = 252;
/** Bits that a fold's largest error may reach: 2^253 and a little is still below r. */
export const FOLD_BITS = 253;
/** A Gumbel value g is packed as g + 4096. */
export const NOISE_OFFSET = 4096;
export const NOISE_BITS = 14;
/** The Gumbel table's extremes (docs/PROTOCOL.md, Sampling). */
export const NOISE_MIN = -2526;
export const NOISE_MAX = 12_066;

/** One layer of the circuit, which knows a convolution as a dense layer with other fold vectors. */
export interface LayerWidths {
  /** Values that it takes. */
  readonly in: number;
  /** Accumulators, of a convolution at all its positions. */
  readonly out: number;
  readonly shift: number;
  /** A: no |y + 2^(shift−1)| exceeds it. */
  readonly bound: number;
  /** W = bitlen(A) + 1: bits of a packed accumulator. */
  readonly width: number;
  /** y is packed as y + offset, offset = 2^(shift−1) + 2^(W−1). */
  readonly offset: number;
}

/** Everything a circuit's shape is made of. */
export interface CircuitLayout {
  readonly layers: readonly LayerWidths[];
  /** SL = W + 2, W the widest layer's: bits between the steps of one fold equation. */
  readonly stride: number;
  /** B' = 1 + ⌊(253 − W) / SL⌋: steps that one fold equation covers. */
  readonly folded: number;
  /** ⌈B / B'⌉: fold equations of a proof, and as many elements that state its observations. */
  readonly equations: number;
  /** Bits of a packed action: bitlen(actions − 1). */
  readonly actionBits: number;
  /** Bits in which the chosen score's lead over another must fit: bitlen(2L + 14,592), L = ⌊A / 2^shift⌋. */
  readonly compareBits: number;
  /** Widths of the packed accumulators of a proof: step by step, layer by layer, row by row. */
  readonly traceFields: readonly number[];
  readonly traceElements: number;
  /** Widths of the packed statement of a proof: step by step, noise, then the action. */
  readonly statementFields: readonly number[];
  readonly statementElements: number;
  /** Elements that the statement sponge absorbs: context, traceDigest, observation folds, packed statement. */
  readonly statementInputs: number;
  /** Fold vector elements that the circuit takes: one for each value that a layer after the first takes. */
  readonly foldCount: number;
}

/** Bits of a non-negative integer below 2^32; 0 for 0. */
export function bitLength(value: number): number {
  return 32 - Math.clz32(value);
}

/** A layer's widths. */
export function layerWidths(layer: Layer): LayerWidths {
  const bound = accumulatorBound(layer);
  const width = bitLength(bound) + 1;
  return {
    in: layerInputs(layer),
    out: layerOutputs(layer),
    shift: layer.shift,
    bound,
    width,
    offset: 2 ** (layer.shift - 1) + 2 ** (width - 1),
  };
}

/** Elements that fields of these widths take: one that does not fit the current element's 252 bits begins the next. */
export function packedElements(widths: readonly number[]): number {
  let elements = 1;
  let used = 0;
  for (const width of widths) {
    if (used + width > ELEMENT_BITS) {
      elements += 1;
      used = 0;
    }
    used += width;
  }
  return elements;
}

/**
 * Packs values into field elements, the first field in the lowest bits; a field that does not fit the current
 * element's 252 bits begins the next one.
 * @throws GrailError WITNESS_FAILED for a value outside [0, 2^width)
 */
export function packFields(values: readonly number[], widths: readonly number[]): bigint[] {
  if (values.length !== widths.length)
    throw new RangeError(`${values.length} fields, ${widths.length} widths`);
  const elements: bigint[] = [];
  let element = 0n;
  let used = 0;
  for (const [i, value] of values.entries()) {
    const width = widths[i]!;
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** width) {
      throw new GrailError('WITNESS_FAILED', `packed field ${i} is ${value}, outside its ${width} bits`, {
        field: i,
        got: value,
        expected: width,
      });
    }
    if (used + width > ELEMENT_BITS) {
      elements.push(element);
      element = 0n;
      used = 0;
    }
    element += BigInt(value) << BigInt(used);
    used += width;
  }
  elements.push(element);
  return elements;
}

/** How steps are folded together, where it is not as the widths have it. */
export type FoldShape = Partial<Pick<CircuitLayout, 'stride' | 'folded'>>;

/** The layout of the circuit of a specification. Everything but the fold's shape follows from it. */
export function circuitLayout(
  spec: Pick<CircuitSpec, 'architecture' | 'stepsPerProof'>,
  fold: FoldShape = {},
): CircuitLayout {
  const { architecture, stepsPerProof } = spec;
  const layers = architecture.layers.map(layerWidths);
  const width = Math.max(...layers.map((layer) => layer.width));
  const stride = fold.stride ?? width + 2;
  const folded = fold.folded ?? 1 + Math.floor((FOLD_BITS - width) / stride);
  const equations = Math.ceil(stepsPerProof / folded);
  const last = layers.at(-1)!;
  const actionBits = bitLength(architecture.actions - 1);
  const largestLogit = Math.floor(last.bound / 2 ** last.shift);
  const stepTrace = layers.flatMap((layer) => new Array<number>(layer.out).fill(layer.width));
  const stepStatement = [...new Array<number>(architecture.actions).fill(NOISE_BITS), actionBits];
  const traceFields = repeat(stepTrace, stepsPerProof);
  const statementFields = repeat(stepStatement, stepsPerProof);
  const statementElements = packedElements(statementFields);
  return {
    layers,
    stride,
    folded,
    equations,
    actionBits,
    compareBits: bitLength(2 * largestLogit + (NOISE_MAX - NOISE_MIN)),
    traceFields,
    traceElements: packedElements(traceFields),
    statementFields,
    statementElements,
    statementInputs: 2 + equations + statementElements,
    foldCount: architecture.layers.slice(1).reduce((count, layer) => count + layerInputs(layer), 0),
  };
}

function repeat(values: readonly number[], times: number): number[] {
  return Array.from({ length: times }, () => values).flat();
}
