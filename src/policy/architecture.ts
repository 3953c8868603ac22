import { z } from 'zod';
import { GrailError } from '../protocol/errors.ts';

/**
 * A policy network (docs/PROTOCOL.md, Exact policy). Everything here is fixed at genesis: shifts and biasMax never move
 * with training.
 *
 * Every layer is a weight matrix `[rows, fanIn]` that is applied at each of its positions to a patch of its input: a
 * dense layer has one position, whose patch is the whole input; a convolution has one for each place of its kernel.
 */

const requantisation = {
  shift: z.int().min(1).max(17),
  biasMax: z.int().min(0).max(131_072),
};

/** `y = W x + b`, then requantised by `shift`. W int8 in [-127, 127], |b| ≤ biasMax, x int8 in [-127, 127]. */
export const denseLayerSchema = z.strictObject({
  type: z.literal('dense'),
  in: z.int().min(1).max(1024),
  out: z.int().min(1).max(4096),
  ...requantisation,
});

/**
 * A square convolution with valid padding over `[height, width, cin]` (row-major, channels last); its output is
 * `[(height − kernel)/stride + 1, (width − kernel)/stride + 1, cout]`, divisions rounded down. Weights are
 * `[cout, kernel · kernel · cin]`, a patch in the order (row, column, channel).
 */
export const conv2dLayerSchema = z.strictObject({
  type: z.literal('conv2d'),
  height: z.int().min(1).max(256),
  width: z.int().min(1).max(256),
  cin: z.int().min(1).max(1024),
  cout: z.int().min(1).max(1024),
  kernel: z.int().min(1).max(32),
  stride: z.int().min(1).max(32),
  ...requantisation,
});

export const layerSchema = z.discriminatedUnion('type', [denseLayerSchema, conv2dLayerSchema]);

/** The most values that a layer may take or give. */
const MAX_VALUES = 65_536;
/** The most values that a layer's kernel patches may have together. */
const MAX_PATCH_VALUES = 1_048_576;
/** The most products of one observation: each is computed for every step by every replica. */
const MAX_PRODUCTS = 134_217_728;
/** The longest row of weights: with int8 times int8 its sum stays below 2^24. */
const MAX_FAN_IN = 1024;

export const architectureSchema = z
  .strictObject({
    /** int8 values of one observation. */
    observation: z.int().min(1).max(MAX_VALUES),
    actions: z.int().min(2).max(4096),
    layers: z.array(layerSchema).min(1).max(16),
  })
  .check((context) => {
    const { layers, observation, actions } = context.value;
    const report = (path: (string | number)[], message: string, input: unknown) =>
      context.issues.push({ code: 'custom', message, path, input });
    let width = observation;
    for (const [index, layer] of layers.entries()) {
      const at = ['layers', index];
      if (layer.type === 'conv2d' && layer.kernel > Math.min(layer.height, layer.width)) {
        report([...at, 'kernel'], `layer ${index} has a kernel larger than its input`, layer.kernel);
        return;
      }
      if (fanIn(layer) > MAX_FAN_IN) {
        report(at, `layer ${index} sums ${fanIn(layer)} products, more than ${MAX_FAN_IN}`, layer);
      }
      if (Math.max(layerInputs(layer), layerOutputs(layer)) > MAX_VALUES) {
        report(at, `layer ${index} takes or gives more than ${MAX_VALUES} values`, layer);
      }
      if (positions(layer) * fanIn(layer) > MAX_PATCH_VALUES) {
        report(at, `layer ${index} has kernel patches of more than ${MAX_PATCH_VALUES} values`, layer);
      }
      if (layerInputs(layer) !== width) {
        report(
          layer.type === 'dense' ? [...at, 'in'] : at,
          `layer ${index} takes ${layerInputs(layer)} values but gets ${width}`,
          layer,
        );
      }
      if (accumulatorBound(layer) >= 2 ** 24) {
        report(
          at,
          `layer ${index} can exceed 2^24, where float32 stops being exact: lower its fan-in, biasMax or shift`,
          layer,
        );
      }
      width = layerOutputs(layer);
    }
    if (products(layers) > MAX_PRODUCTS) {
      report(['layers'], `an observation takes more than ${MAX_PRODUCTS} products`, products(layers));
    }
    if (width !== actions) {
      report(['layers'], `the last layer gives ${width} logits for ${actions} actions`, width);
    }
  });

export type DenseLayer = Readonly<z.infer<typeof denseLayerSchema>>;
export type Conv2dLayer = Readonly<z.infer<typeof conv2dLayerSchema>>;
export type Layer = DenseLayer | Conv2dLayer;
export type Architecture = Readonly<{
  observation: number;
  actions: number;
  layers: readonly Layer[];
}>;

/** A layer without its arithmetic: what it takes, gives and multiplies. */
export type LayerShape = Omit<DenseLayer, 'shift' | 'biasMax'> | Omit<Conv2dLayer, 'shift' | 'biasMax'>;

/** A layer as a person names it: the units of a dense layer, or a convolution. */
export const hiddenLayerSchema = z.union([
  z.int().min(1).max(4096),
  z.strictObject({
    filters: z.int().min(1).max(1024),
    kernel: z.int().min(1).max(32),
    stride: z.int().min(1).max(32),
  }),
]);
export type HiddenLayer = Readonly<z.infer<typeof hiddenLayerSchema>>;

/**
 * The layers that `hidden` names, over an observation of `shape`. Convolutions come first; the first dense layer flattens
 * what they give.
 * @throws GrailError POLICY_INVALID when a convolution's input is not `[height, width, channels]`.
 */
export function layerShapes(shape: readonly number[], hidden: readonly HiddenLayer[]): LayerShape[] {
  let dims = shape;
  return hidden.map((spec, index): LayerShape => {
    if (typeof spec === 'number') {
      const layer = { type: 'dense', in: product(dims), out: spec } as const;
      dims = [spec];
      return layer;
    }
    const [height, width, cin] = dims;
    const { filters: cout, kernel, stride } = spec;
    if (
      height === undefined ||
      width === undefined ||
      cin === undefined ||
      kernel > Math.min(height, width)
    ) {
      throw new GrailError(
        'POLICY_INVALID',
        `layer ${index}: a convolution of kernel ${kernel} needs [height, width, channels] at least as large`,
        { layer: index, got: `[${dims.join(', ')}]` },
      );
    }
    const layer = { type: 'conv2d', height, width, cin, cout, kernel, stride } as const;
    dims = [...outputGrid(layer), cout];
    return layer;
  });
}

function product(values: readonly number[]): number {
  return values.reduce((all, value) => all * value, 1);
}

/** Output rows and columns of a convolution. */
export function outputGrid(layer: Extract<LayerShape, { type: 'conv2d' }>): [rows: number, columns: number] {
  const { height, width, kernel, stride } = layer;
  return [Math.floor((height - kernel) / stride) + 1, Math.floor((width - kernel) / stride) + 1];
}

/** Values that a layer takes. */
export function layerInputs(layer: LayerShape): number {
  return layer.type === 'dense' ? layer.in : layer.height * layer.width * layer.cin;
}

/** Places at which a layer's weights are applied: 1, or those of the kernel. */
export function positions(layer: LayerShape): number {
  if (layer.type === 'dense') return 1;
  const [rows, columns] = outputGrid(layer);
  return rows * columns;
}

/** Rows of the weight matrix: outputs at one position. */
export function weightRows(layer: LayerShape): number {
  return layer.type === 'dense' ? layer.out : layer.cout;
}

/** Values that a layer gives: `[positions, weightRows]`. */
export function layerOutputs(layer: LayerShape): number {
  return positions(layer) * weightRows(layer);
}

/** Products in one accumulator: the length of a weight row and of a patch. */
export function fanIn(layer: LayerShape): number {
  return layer.type === 'dense' ? layer.in : layer.kernel * layer.kernel * layer.cin;
}

/** The most values that one observation has at once: a layer's input, its kernel patches or its output. */
export function widestValues(layers: readonly LayerShape[]): number {
  return layers.reduce(
    (most, layer) => Math.max(most, layerInputs(layer), positions(layer) * fanIn(layer), layerOutputs(layer)),
    0,
  );
}

/**
 * Values that one observation takes while a network is differentiated, all layers together: each layer's input, its kernel
 * patches twice, and eight times its output (sums, roundings, masks, gradients). A bound, not a count.
 */
export function trainingValues(layers: readonly LayerShape[]): number {
  return layers.reduce((sum, layer) => {
    const patches = layer.type === 'dense' ? 0 : positions(layer) * fanIn(layer);
    return sum + layerInputs(layer) + 2 * patches + 8 * layerOutputs(layer);
  }, 0);
}

/** Products that one observation takes, all layers together. */
export function products(layers: readonly LayerShape[]): number {
  return layers.reduce((sum, layer) => sum + layerOutputs(layer) * fanIn(layer), 0);
}

/** Weights of a layer. */
export function weightCount(layer: LayerShape): number {
  return weightRows(layer) * fanIn(layer);
}

const patchTables = new WeakMap<LayerShape, Uint32Array>();

/**
 * The im2col table of a layer, `[positions, fanIn]`: which value of its input stands at each place of each patch. Of a
 * dense layer it is 0 … in − 1. Made once for each layer object, so it is not to be written to.
 */
export function patchIndices(layer: LayerShape): Uint32Array {
  const known = patchTables.get(layer);
  if (known !== undefined) return known;
  const table = makePatchIndices(layer);
  patchTables.set(layer, table);
  return table;
}

function makePatchIndices(layer: LayerShape): Uint32Array {
  if (layer.type === 'dense') return Uint32Array.from({ length: layer.in }, (_, i) => i);
  const { width, cin, kernel, stride } = layer;
  const [rows, columns] = outputGrid(layer);
  const indices = new Uint32Array(rows * columns * fanIn(layer));
  let at = 0;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      for (let y = 0; y < kernel; y++) {
        for (let x = 0; x < kernel; x++) {
          const from = ((row * stride + y) * width + column * stride + x) * cin;
          for (let channel = 0; channel < cin; channel++) indices[at++] = from + channel;
        }
      }
    }
  }
  return indices;
}

/** An observation's dimensions, as far as the architecture tells: those of a leading convolution, or one. */
export function observationShape({ observation, layers }: Architecture): readonly number[] {
  const first = layers[0]!;
  return first.type === 'conv2d' ? [first.height, first.width, first.cin] : [observation];
}

/** A = fanIn·127² + biasMax + 2^(shift−1): no partial sum of the layer, rounding term included, exceeds it. */
export function accumulatorBound(layer: Layer): number {
  return fanIn(layer) * 127 * 127 + layer.biasMax + (1 << (layer.shift - 1));
}

/** The published tensors of one layer. */
export interface LayerTensors {
  /** `[weightRows, fanIn]` int8, row-major, values in [-127, 127]. */
  readonly weight: Int8Array;
  /** `[weightRows]` int32, |b| ≤ biasMax. */
  readonly bias: Int32Array;
}

/** A policy: the architecture and its published integer tensors, layer by layer. */
export interface Policy {
  readonly architecture: Architecture;
  readonly layers: readonly LayerTensors[];
}
