import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { Dtype, MemoryTensors, TensorSpec } from '../../src/pulse/index.ts';
import { seededRandom } from '../support/pulse.ts';
import { chainOf, forReference, mixedSpecs, movedBlocks } from './pulse-chains.ts';
import { encodeAnchor, encodePatch, freshHistory } from './pulse-reference/index.ts';

/**
 * The inputs of test/vectors/pulse.json. `node test/helpers/pulse-golden.ts` writes that file anew, with the reference: only
 * when the format is meant to change.
 */

/** Length and SHA-256 of what a chain of states is coded as. */
export interface Golden {
  readonly name: string;
  /** Of the first state. */
  readonly anchor: string;
  /** From the first to the second without a history. */
  readonly patch: string;
  readonly overwrite: string;
  /** From each to the next, all with one history. */
  readonly history: readonly string[];
}

export const digest = (bytes: Uint8Array): string =>
  `${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`;

const specs = (...tensors: [Dtype, ...number[]][]): TensorSpec[] =>
  tensors.map(([dtype, ...shape], i) => ({ name: `layers.${i}`, dtype, shape }));

/** Of 1,100,000 elements and more one block in eight is looked at. */
function sparse(dtype: Dtype, shape: number[], blocks: (block: number) => boolean): MemoryTensors[] {
  const random = seededRandom(77);
  const states = chainOf(specs([dtype, ...shape]), 7, 0);
  for (let i = 0; i < 2; i++) states.push(movedBlocks(states.at(-1)!, blocks, 400, random));
  return states;
}

/** More symbols than a model's counts may have: they are halved, at tensors that stay and at small ones too. */
function manySymbols(dtype: Dtype): MemoryTensors[] {
  const random = seededRandom(78);
  const [from] = chainOf(specs([dtype, 1_060_000], [dtype, 0], [dtype, 50], [dtype, 70_000]), 8, 0);
  const to = movedBlocks(from!, () => true, 1, random);
  to.arrays[3]!.set(to.arrays[0]!.subarray(0, 999));
  return [from!, to];
}

export const CASES: readonly (readonly [name: string, states: () => MemoryTensors[]])[] = [
  ['int8, 1,000', () => chainOf(specs(['int8', 1000]), 1, 3)],
  ['int32, 1,000', () => chainOf(specs(['int32', 1000]), 2, 3)],
  ['bf16, 1,000', () => chainOf(specs(['bf16', 1000]), 3, 3)],
  ['f16, 1,000', () => chainOf(specs(['f16', 1000]), 4, 3)],
  ['f32, 1,000', () => chainOf(specs(['f32', 1000]), 5, 3)],
  ['a long history', () => chainOf(specs(['bf16', 30, 40]), 6, 70)],
  ['scalars, and tensors without elements', () => chainOf(specs(['f32'], ['int32', 0, 3], ['int8']), 7, 2)],
  ['mixed 11', () => chainOf(mixedSpecs(11), 11, 4)],
  ['mixed 12', () => chainOf(mixedSpecs(12), 12, 4)],
  ['mixed 13', () => chainOf(mixedSpecs(13), 13, 4)],
  ['mixed 14', () => chainOf(mixedSpecs(14), 14, 4)],
  ['mixed 15', () => chainOf(mixedSpecs(15), 15, 4)],
  ['rows of 192, bf16', () => chainOf(specs(['bf16', 24, 192], ['bf16', 24, 192]), 16, 4)],
  ['rows of 192, int8 and int32', () => chainOf(specs(['int8', 24, 192], ['int32', 24, 192]), 17, 4)],
  ['rows across blocks', () => chainOf(specs(['bf16', 140, 1000], ['f16', 342, 192]), 18, 3)],
  ['rows across blocks, integers', () => chainOf(specs(['int8', 140, 1000], ['int32', 342, 192]), 19, 3)],
  ['15 blocks and an element', () => sparse('bf16', [983_041], (block) => block > 2)],
  ['17 blocks, rows', () => sparse('bf16', [5730, 192], (block) => block % 3 === 0)],
  ['17 blocks of which those looked at stay', () => sparse('f32', [1100, 1000], (block) => block % 8 > 4)],
  ['17 blocks, int32', () => sparse('int32', [1100, 1000], (block) => block % 8 > 4)],
  ['many symbols, bf16', () => manySymbols('bf16')],
  ['many symbols, int8', () => manySymbols('int8')],
];

function goldenOf(name: string, states: MemoryTensors[]): Golden {
  const tensors = states.map(forReference);
  const [first, second] = tensors;
  const history: string[] = [];
  let head = freshHistory(first!);
  for (const [i, target] of tensors.slice(1).entries()) {
    const made = encodePatch(tensors[i]!, target, { history: head });
    history.push(digest(made.bytes));
    head = made.history;
  }
  return {
    name,
    anchor: digest(encodeAnchor(first!)),
    patch: digest(encodePatch(first!, second!).bytes),
    overwrite: digest(encodePatch(first!, second!, { overwrite: true }).bytes),
    history,
  };
}

if (import.meta.main) {
  const golden = CASES.map(([name, states]) => goldenOf(name, states()));
  writeFileSync(new URL('../vectors/pulse.json', import.meta.url), `${JSON.stringify(golden, null, 2)}\n`);
}
