/**
 * Sizes and speed of PULSE on simulated updates: independent positions, fair signs, ±1 steps. Prints a table.
 *
 *     node bench/pulse.ts
 */
import type { Policy } from '../src/policy/architecture.ts';
import { policyRoot, tensorBytes } from '../src/policy/snapshot.ts';
import { applyPatch, decodeAnchor, encodeAnchor, encodePatch, inspectPatch } from '../src/pulse/index.ts';
import { useNodeSha256 } from '../src/storage/node-hash.ts';
import { denseArchitecture, randomPolicy, randomUpdate, seededRandom } from '../test/support/pulse.ts';

const REPEATS = 9;

function medianMs(run: () => unknown): number {
  const times = Array.from({ length: REPEATS }, () => {
    const start = performance.now();
    run();
    return performance.now() - start;
  });
  return times.sort((a, b) => a - b)[REPEATS >> 1]!;
}

function row(widths: number[], perMille: number): Record<string, string | number> {
  const random = seededRandom(perMille);
  const base = randomPolicy(denseArchitecture(widths), random);
  const moved = randomUpdate(base, random, perMille);
  // Weights alone, so that the figure is bits per changed weight.
  const target: Policy = {
    architecture: base.architecture,
    layers: moved.layers.map(({ weight }, i) => ({ weight, bias: base.layers[i]!.bias })),
  };
  const [baseRoot, targetRoot] = [policyRoot(base), policyRoot(target)];
  const patch = encodePatch({ base, target, baseRoot, targetRoot });
  const header = encodePatch({ base, target: base, baseRoot, targetRoot: baseRoot }).length;
  const tensors = inspectPatch(patch).tensors.filter(({ changed }) => changed > 0);
  const changed = tensors.reduce((sum, tensor) => sum + tensor.changed, 0);
  const bound = tensors.reduce((bits, { size, changed: n }) => {
    const p = n / size;
    return bits + n - size * (p * Math.log2(p) + (1 - p) * Math.log2(1 - p));
  }, 0);
  const anchor = encodeAnchor(base);
  return {
    policy: widths.join('-'),
    changed: `${perMille / 10} % (${changed})`,
    'code bits/change': ((8 * (patch.length - header)) / changed).toFixed(2),
    'entropy bits/change': (bound / changed).toFixed(2),
    'patch B': patch.length,
    'anchor B': anchor.length,
    'tensors B': tensorBytes(base).length,
    'encode ms': medianMs(() => encodePatch({ base, target, baseRoot, targetRoot })).toFixed(2),
    'apply ms': medianMs(() => applyPatch(base, baseRoot, patch, targetRoot)).toFixed(2),
    'anchor decode ms': medianMs(() => decodeAnchor(anchor)).toFixed(2),
  };
}

useNodeSha256();
const rates = [5, 25, 70, 140, 500];
console.table(
  [
    [4, 32, 32, 2],
    [64, 256, 256, 16],
  ].flatMap((widths) => rates.map((rate) => row(widths, rate))),
);
