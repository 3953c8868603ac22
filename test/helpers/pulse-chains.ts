import type { Dtype, MemoryTensors, TensorSpec } from '../../src/pulse/index.ts';
import { DTYPES, patternsOf, SPECIALS, seededRandom, tensorsOf, weightPattern } from '../support/pulse.ts';
import type { Tensor } from './pulse-reference/index.ts';

/** Seeded chains of states, by integers alone: what test/vectors/pulse.json names, and what two codecs are compared on. */

type Random = (bound: number) => number;
const MILLION = 1_000_000;

/** Elements that a patch changes, in a million of a tensor: one of 100 to all, most of them few. */
const density = (random: Random): number => Math.ceil(MILLION / 2 ** random(14) / (1 + random(2)));

function shapeOf(random: Random): number[] {
  const kind = random(9);
  if (kind === 0) return [];
  if (kind === 1) return [random(2), 3];
  if (kind === 2) return [1 + random(3), 1 + random(300), 1 + random(3)];
  if (kind === 3) return [1 + random(3000)];
  if (kind === 4) return [1 + random(60), 1 + random(60)];
  return [1 + random(kind < 7 ? 20 : 6), 64 + random(kind < 7 ? 90 : 440)];
}

export function mixedSpecs(seed: number): TensorSpec[] {
  const random = seededRandom(seed);
  return Array.from({ length: 1 + random(5) }, (_, i) => ({
    name: random(8) === 0 ? `é${i}` : `layers.${i}`,
    dtype: DTYPES[random(DTYPES.length)]!,
    shape: shapeOf(random),
  }));
}

function anyPattern(dtype: Dtype, random: Random): number {
  const specials = SPECIALS[dtype];
  return random(2) === 0 ? specials[random(specials.length)]! : random(2 ** 32);
}

/** Mostly a unit or two of the last place up or down, sometimes many, another sign, or anything. */
function moved(dtype: Dtype, pattern: number, zeros: number, random: Random): number {
  const kind = random(32);
  if (kind === 0) return anyPattern(dtype, random);
  const step = (random(5) < 2 ? -1 : 1) * (1 + random(kind < 6 ? 300 : 2));
  if (dtype === 'int8') return pattern + (kind < 6 ? step % 20 : step);
  if (dtype === 'int32') return pattern + step * 2 ** zeros;
  const sign = dtype === 'f32' ? 2 ** 31 : 2 ** 15;
  const magnitude = pattern % sign;
  const next = kind === 1 || magnitude + step < 0 || magnitude + step >= sign ? magnitude : magnitude + step;
  return next + (pattern >= sign !== kind < 4 ? sign : 0);
}

/** The state after `state`: each tensor changes as often as drawn, evenly or in one row of eight, or not at all. */
export function nextState(state: MemoryTensors, random: Random): MemoryTensors {
  const next = state.clone();
  for (const [t, { dtype, shape }] of next.specs.entries()) {
    if (random(7) === 0) continue;
    const patterns = patternsOf(next.arrays[t]!, dtype);
    const row = shape.at(-1) ?? 1;
    const rate = density(random);
    const hot = random(2) === 0 ? random(8) : -1;
    const zeros = [0, 0, 4, 9][random(4)]!;
    for (let i = 0; i < patterns.length; i++) {
      const isHot = Math.floor(i / row) % 8 === hot;
      if (random(MILLION) >= (hot < 0 ? rate : isHot ? 8 * rate : rate / 50)) continue;
      // Arrays keep the lowest bits of what is stored.
      patterns[i] = moved(dtype, patterns[i]!, zeros, random);
    }
  }
  return next;
}

/** A state of `specs` and `patches` more: weights as trained ones are, now and then anything. */
export function chainOf(specs: readonly TensorSpec[], seed: number, patches: number): MemoryTensors[] {
  const random = seededRandom(seed);
  const wild = 1 + random(200);
  const states = [
    tensorsOf(specs, (_, dtype) =>
      random(wild) === 0 ? anyPattern(dtype, random) : weightPattern(dtype, random),
    ),
  ];
  for (let i = 0; i < patches; i++) states.push(nextState(states.at(-1)!, random));
  return states;
}

/** A copy in which each element of `blocks` (of 65,536) of the first tensor moves with a chance of one in `rarity`. */
export function movedBlocks(
  state: MemoryTensors,
  blocks: (block: number) => boolean,
  rarity: number,
  random: Random,
): MemoryTensors {
  const next = state.clone();
  const { dtype } = next.specs[0]!;
  const patterns = patternsOf(next.arrays[0]!, dtype);
  for (let i = 0; i < patterns.length; i++) {
    if (!blocks(Math.floor(i / 65_536)) || random(rarity) > 0) continue;
    patterns[i] = moved(dtype, patterns[i]!, 0, random);
  }
  return next;
}

export const forReference = (state: MemoryTensors): Tensor[] =>
  state.specs.map(({ name, dtype, shape }, t) => ({
    name,
    type: dtype,
    shape: [...shape],
    values: Uint32Array.from(patternsOf(state.arrays[t]!, dtype)),
  }));

export const fromReference = (tensors: readonly Tensor[]): MemoryTensors =>
  tensorsOf(
    tensors.map(({ name, type, shape }) => ({ name, dtype: type, shape })),
    (i, _, t) => tensors[t]!.values[i]!,
  );
