import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkPolicy } from '../../src/policy/index.ts';
import { Publisher } from '../../src/training/publish.ts';
import { actorLayout } from '../../src/training/state.ts';
import { CARTPOLE_MLP, QUANTISER, randomPolicy, words } from '../support/policies.ts';
import { GRID_NETWORK, GRID_QUANTISER } from '../support/training.ts';

const RUNS = process.env.GRAIL_LONG ? 5000 : 200;
describe.each([
  ['a perceptron', CARTPOLE_MLP, QUANTISER],
  ['convolutions', GRID_NETWORK, GRID_QUANTISER],
])('of %s', (_, architecture, quantiser) => {
  const layout = actorLayout(architecture);
  const publisher = new Publisher(architecture, quantiser, layout);

  /** Latents around a policy or far outside it: `spread` in real units. */
  const latents = fc
    .record({ seed: fc.nat(), spread: fc.constantFrom(0.05, 1, 10, 1e4, 3e38) })
    .map(({ seed, spread }) => {
      const next = words(seed);
      return Float32Array.from({ length: layout.size }, () => (next() / 2 ** 31 - 1) * spread);
    });

  const base = fc.nat().map((seed) => randomPolicy(architecture, seed).layers);

  test('whatever the latents are, what is published is a valid policy', () => {
    fc.assert(
      fc.property(latents, base, (values, published) => {
        const layers = publisher.allocate();
        publisher.publish(values, published, layers);
        checkPolicy({ architecture, layers });
        publisher.publish(values, null, layers);
        checkPolicy({ architecture, layers });
      }),
      { numRuns: RUNS, seed: 1 },
    );
  });

  test('publishing again from the published policy changes nothing, once latents are clipped', () => {
    fc.assert(
      fc.property(latents, base, (values, published) => {
        publisher.clip(values);
        const once = publisher.allocate();
        const twice = publisher.allocate();
        publisher.publish(values, published, once);
        publisher.publish(values, once, twice);
        expect(twice).toEqual(once);
      }),
      { numRuns: RUNS, seed: 2 },
    );
  });

  test('a weight moves only when its latent is further than the hysteresis from it, and then to the nearest', () => {
    fc.assert(
      fc.property(latents, base, (values, published) => {
        publisher.clip(values);
        const layers = publisher.allocate();
        publisher.publish(values, published, layers);
        for (const [index, place] of layout.layers.entries()) {
          for (const [i, now] of layers[index]!.weight.entries()) {
            const exact = values[place.weight + i]! * 2 ** quantiser.weightBits[index]!;
            const before = published[index]!.weight[i]!;
            if (Math.abs(exact - before) <= 0.75) expect(now).toBe(before);
            else expect(Math.abs(exact - now)).toBeLessThanOrEqual(0.5);
          }
        }
      }),
      { numRuns: RUNS / 4, seed: 3 },
    );
  });

  test('published biases are multiples of 2^(shift+1)', () => {
    fc.assert(
      fc.property(latents, base, (values, published) => {
        const layers = publisher.allocate();
        publisher.publish(values, published, layers);
        for (const [index, layer] of architecture.layers.entries()) {
          const rest = layers[index]!.bias.map((b) => Math.abs(b % 2 ** (layer.shift + 1)));
          expect(Math.max(...rest)).toBe(0);
        }
      }),
      { numRuns: RUNS, seed: 4 },
    );
  });
});
