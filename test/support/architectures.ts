import fc from 'fast-check';
import {
  type Architecture,
  type HiddenLayer,
  type Layer,
  layerInputs,
  layerShapes,
  outputGrid,
} from '../../src/policy/architecture.ts';
import { buildArchitecture } from '../../src/policy/quantiser.ts';

/** The network of the MinAtar recipes: 10 × 10 × channels, 3 × 3 × 16, 128. */
export function minatarNetwork(channels: number, actions = 6): Architecture {
  return buildArchitecture({
    shape: [10, 10, channels],
    hidden: [{ filters: 16, kernel: 3, stride: 1 }, 128],
    actions,
    quantiser: { observationBits: 0, activationBits: 5, weightBits: [6, 7, 6], hysteresis: 0.75 },
  });
}

/** A network of these layers, `[layer, shift, biasMax]`, the last of them dense: its units are the actions. */
export function network(
  shape: readonly number[],
  spec: readonly (readonly [layer: HiddenLayer, shift: number, biasMax: number])[],
): Architecture {
  const shapes = layerShapes(
    shape,
    spec.map(([layer]) => layer),
  );
  const layers = shapes.map((bare, index): Layer => {
    const [, shift, biasMax] = spec[index]!;
    return { ...bare, shift, biasMax };
  });
  return { observation: layerInputs(layers[0]!), actions: spec.at(-1)![0] as number, layers };
}

/** 5 × 5 × 2, a convolution of stride 2 whose patches overlap, one of stride 1 after it, then two dense layers. */
export const SMALL_CONVOLUTIONS: Architecture = network(
  [5, 5, 2],
  [
    [{ filters: 4, kernel: 3, stride: 2 }, 5, 900],
    [{ filters: 3, kernel: 2, stride: 1 }, 4, 300],
    [5, 3, 70],
    [3, 1, 40],
  ],
);

const piece = fc.record({
  type: fc.constantFrom('dense', 'conv2d'),
  /** What a dense layer gives, as the grid that a convolution after it would take. */
  grid: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })),
  channels: fc.integer({ min: 1, max: 3 }),
  kernel: fc.integer({ min: 1, max: 3 }),
  stride: fc.integer({ min: 1, max: 3 }),
  shift: fc.integer({ min: 1, max: 17 }),
  biasMax: fc.integer({ min: 0, max: 131_072 }),
});

/** Architectures of one to four layers of either kind in any order, all of them exact. */
export const architectures: fc.Arbitrary<Architecture> = fc
  .record({
    height: fc.integer({ min: 1, max: 6 }),
    width: fc.integer({ min: 1, max: 6 }),
    channels: fc.integer({ min: 1, max: 3 }),
    pieces: fc.array(piece, { minLength: 1, maxLength: 4 }),
  })
  .map(({ height, width, channels, pieces }) => {
    let dims: [height: number, width: number, channels: number] = [height, width, channels];
    const layers = pieces.map(({ type, grid, channels, kernel, stride, shift, biasMax }, index): Layer => {
      const [height, width, cin] = dims;
      const cout = index === pieces.length - 1 ? channels + 1 : channels;
      if (type === 'dense') {
        dims = [...grid, cout];
        return {
          type: 'dense',
          in: height * width * cin,
          out: grid[0] * grid[1] * cout,
          shift,
          biasMax,
        };
      }
      const layer = {
        type: 'conv2d',
        height,
        width,
        cin,
        cout,
        kernel: Math.min(kernel, height, width),
        stride,
        shift,
        biasMax,
      } as const;
      dims = [...outputGrid(layer), cout];
      return layer;
    });
    return { observation: height * width * channels, actions: dims[0] * dims[1] * dims[2], layers };
  });
