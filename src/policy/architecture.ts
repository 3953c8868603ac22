import { z } from 'zod';

/**
 * A policy network (DESIGN of the exact policy: docs/PROTOCOL.md, Exact policy). Everything here is fixed at genesis:
 * shifts and biasMax never move with training.
 */

/** `y = W x + b`, then requantised by `shift`. W int8 in [-127, 127], |b| ≤ biasMax, x int8 in [-127, 127]. */
export const denseLayerSchema = z.strictObject({
  type: z.literal('dense'),
  in: z.int().min(1).max(1024),
  out: z.int().min(1).max(4096),
  shift: z.int().min(1).max(17),
  biasMax: z.int().min(0).max(131_072),
});

export const architectureSchema = z
  .strictObject({
    /** int8 values of one observation. */
    observation: z.int().min(1).max(65_536),
    actions: z.int().min(2).max(4096),
    layers: z.array(denseLayerSchema).min(1).max(16),
  })
  .check((context) => {
    const { layers, observation, actions } = context.value;
    let width = observation;
    for (const [index, layer] of layers.entries()) {
      if (layer.in !== width) {
        context.issues.push({
          code: 'custom',
          message: `layer ${index} takes ${layer.in} values but gets ${width}`,
          path: ['layers', index, 'in'],
          input: layer.in,
        });
      }
      if (accumulatorBound(layer) >= 2 ** 24) {
        context.issues.push({
          code: 'custom',
          message: `layer ${index} can exceed 2^24, where float32 stops being exact: lower in, biasMax or shift`,
          path: ['layers', index],
          input: layer,
        });
      }
      width = layer.out;
    }
    if (width !== actions) {
      context.issues.push({
        code: 'custom',
        message: `the last layer gives ${width} logits for ${actions} actions`,
        path: ['layers'],
        input: width,
      });
    }
  });

export type DenseLayer = Readonly<z.infer<typeof denseLayerSchema>>;
export type Architecture = Readonly<{
  observation: number;
  actions: number;
  layers: readonly DenseLayer[];
}>;

/** A = in·127² + biasMax + 2^(shift−1): no partial sum of the layer, rounding term included, exceeds it. */
export function accumulatorBound(layer: DenseLayer): number {
  return layer.in * 127 * 127 + layer.biasMax + (1 << (layer.shift - 1));
}

/** The published tensors of one layer. */
export interface LayerTensors {
  /** `[out, in]` int8, row-major, values in [-127, 127]. */
  readonly weight: Int8Array;
  /** `[out]` int32, |b| ≤ biasMax. */
  readonly bias: Int32Array;
}

/** A policy: the architecture and its published integer tensors, layer by layer. */
export interface Policy {
  readonly architecture: Architecture;
  readonly layers: readonly LayerTensors[];
}
