import { INT8_MAX, LOGIT_FRACTION_BITS } from '../params/constants.ts';
import type { QuantiserParams } from '../params/genesis.ts';
import { GrailError } from '../protocol/errors.ts';
import {
  type Architecture,
  architectureSchema,
  fanIn,
  type HiddenLayer,
  type Layer,
  layerInputs,
  layerShapes,
  type Policy,
  weightCount,
  weightRows,
} from './architecture.ts';

/** A bias never needs more: 2^17 keeps the widest layer below 2^24. */
const BIAS_LIMIT = 131_072;

/** A bias must reach at least this far from zero, in real units, whatever the layer's width is. */
const BIAS_REAL_RANGE = 2;

/** Exponents of one layer: real value = integer / 2^exponent. */
export interface LayerExponents {
  /** Of its input: observationBits, then activationBits. */
  readonly input: number;
  readonly weight: number;
  /** Of its output: activationBits, or LOGIT_FRACTION_BITS for the last layer. */
  readonly output: number;
  /** Of its bias and its accumulators: input + weight. */
  readonly accumulator: number;
}

/** The exponents of every layer (docs/PROTOCOL.md, Quantiser). */
export function layerExponents(quantiser: QuantiserParams): LayerExponents[] {
  const last = quantiser.weightBits.length - 1;
  return quantiser.weightBits.map((weight, layer) => {
    const input = layer === 0 ? quantiser.observationBits : quantiser.activationBits;
    const output = layer === last ? LOGIT_FRACTION_BITS : quantiser.activationBits;
    return { input, weight, output, accumulator: input + weight };
  });
}

/**
 * Checks that each layer's shift takes one exponent to the next: only then is the straight-through gradient that of real
 * units.
 * @throws GrailError GENESIS_INVALID naming the first layer whose shift does not
 */
export function checkShifts({
  architecture,
  quantiser,
}: {
  architecture: Architecture;
  quantiser: QuantiserParams;
}): void {
  const exponents = layerExponents(quantiser);
  for (const [index, layer] of architecture.layers.entries()) {
    const { accumulator, output } = exponents[index]!;
    if (layer.shift !== accumulator - output) {
      throw new GrailError(
        'GENESIS_INVALID',
        `layer ${index} has shift ${layer.shift} where the quantiser's exponents give ${accumulator - output}`,
        {
          layer: index,
          expected: accumulator - output,
          got: layer.shift,
        },
      );
    }
  }
}

/**
 * The architecture of a network with these hidden layers: shifts follow from the exponents; biasMax is the room that the
 * layer's accumulators leave below the next power of two, so that a circuit loses no bit to it. Convolutions come first;
 * the first dense layer flattens what they give.
 * @param input.shape of an observation; a convolution needs `[height, width, channels]`
 * @throws GrailError POLICY_INVALID when exponents and widths give no exact layer.
 */
export function buildArchitecture(input: {
  shape: readonly number[];
  hidden: readonly HiddenLayer[];
  actions: number;
  quantiser: QuantiserParams;
}): Architecture {
  const { shape, actions, quantiser } = input;
  const spec: readonly HiddenLayer[] = [...input.hidden, actions];
  if (quantiser.weightBits.length !== spec.length) {
    throw new GrailError('POLICY_INVALID', 'quantiser.weightBits needs one exponent a layer', {
      expected: spec.length,
      got: quantiser.weightBits.length,
    });
  }
  const shapes = layerShapes(shape, spec);
  const layers = layerExponents(quantiser).map(({ accumulator, output }, index): Layer => {
    const shift = accumulator - output;
    if (shift < 1 || shift > 17) {
      throw new GrailError('POLICY_INVALID', `layer ${index} has shift ${shift}: change its exponents`, {
        layer: index,
        expected: '1 to 17',
        got: shift,
      });
    }
    const bare = shapes[index]!;
    return { ...bare, shift, biasMax: biasRoom(index, fanIn(bare), shift, accumulator) };
  });
  return parseArchitecture({ observation: layerInputs(layers[0]!), actions, layers });
}

/** The architecture of a multilayer perceptron: `buildArchitecture` with dense layers alone. */
export function buildMlp(input: {
  observation: number;
  hidden: readonly number[];
  actions: number;
  quantiser: QuantiserParams;
}): Architecture {
  return buildArchitecture({ ...input, shape: [input.observation] });
}

/**
 * The largest multiple of 2^(shift+1) with fanIn·127² + biasMax + 2^(shift−1) < 2^bits, where bits is the length of that
 * sum with a bias of two real units; at most 2^17. Trained biases are multiples of 2^(shift+1), hence the multiple.
 */
function biasRoom(layer: number, width: number, shift: number, accumulatorBits: number): number {
  const step = 1 << (shift + 1);
  const needed = BIAS_REAL_RANGE * shifted(accumulatorBits);
  if (needed > BIAS_LIMIT) {
    throw new GrailError('POLICY_INVALID', `layer ${layer}: a bias of two real units exceeds 2^17`, {
      layer,
      expected: BIAS_LIMIT,
      got: needed,
    });
  }
  const rest = width * INT8_MAX * INT8_MAX + (1 << (shift - 1));
  const bits = 32 - Math.clz32(rest + needed);
  const room = Math.floor((shifted(bits) - 1 - rest) / step) * step;
  return Math.min(room, Math.floor(BIAS_LIMIT / step) * step);
}

/** 2^exponent for 0 ≤ exponent ≤ 32, without a power function. */
function shifted(exponent: number): number {
  return exponent < 31 ? 1 << exponent : (1 << 30) * (1 << (exponent - 30));
}

/**
 * Checks an architecture that came from outside.
 * @throws GrailError POLICY_INVALID naming the first field that is wrong.
 */
export function parseArchitecture(value: unknown): Architecture {
  const result = architectureSchema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new GrailError('POLICY_INVALID', `architecture: ${issue.path.join('.')}: ${issue.message}`, {
    path: issue.path.map(String),
  });
}

/**
 * Checks that tensors fit their architecture: the lengths, weights in [−127, 127], |bias| ≤ biasMax.
 * @throws GrailError POLICY_INVALID naming the first value that is wrong.
 */
export function checkPolicy(policy: Policy): void {
  const { layers } = policy.architecture;
  if (policy.layers.length !== layers.length) {
    throw new GrailError('POLICY_INVALID', 'the policy has another number of layers than its architecture', {
      expected: layers.length,
      got: policy.layers.length,
    });
  }
  for (const [index, layer] of layers.entries()) {
    const { weight, bias } = policy.layers[index]!;
    checkLength(index, 'weight', weight.length, weightCount(layer));
    checkLength(index, 'bias', bias.length, weightRows(layer));
    for (let i = 0; i < weight.length; i++) {
      if (weight[i]! < -INT8_MAX) {
        throw invalidTensor(index, 'weight', i, `at least −${INT8_MAX}`, weight[i]!);
      }
    }
    for (let i = 0; i < bias.length; i++) {
      if (bias[i]! > layer.biasMax || bias[i]! < -layer.biasMax) {
        throw invalidTensor(index, 'bias', i, `at most ±${layer.biasMax}`, bias[i]!);
      }
    }
  }
}

/** Clamps integers into the ranges that the architecture allows; every result passes `checkPolicy`. */
export function clampPolicy(
  architecture: Architecture,
  tensors: readonly { readonly weight: ArrayLike<number>; readonly bias: ArrayLike<number> }[],
): Policy {
  const layers = architecture.layers.map((layer, index) => {
    const { weight, bias } = tensors[index]!;
    return {
      weight: Int8Array.from(weight, (value) => Math.min(Math.max(value, -INT8_MAX), INT8_MAX)),
      bias: Int32Array.from(bias, (value) => Math.min(Math.max(value, -layer.biasMax), layer.biasMax)),
    };
  });
  const policy = { architecture, layers };
  checkPolicy(policy);
  return policy;
}

function checkLength(layer: number, tensor: string, got: number, expected: number): void {
  if (got === expected) return;
  throw new GrailError('POLICY_INVALID', `the ${tensor} of layer ${layer} has the wrong length`, {
    layer,
    tensor,
    expected,
    got,
  });
}

function invalidTensor(layer: number, tensor: string, index: number, expected: string, got: number) {
  return new GrailError('POLICY_INVALID', `a ${tensor} of layer ${layer} is out of range`, {
    layer,
    tensor,
    index,
    expected,
    got,
  });
}
