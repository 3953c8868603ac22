import type { DevicePolicy, LoadedPolicy } from '../../src/backends/index.ts';
import { environmentById, type RolloutArrays, type SlotEnds, SlotRun } from '../../src/environments/index.ts';
import { packSlotSeeds, sampleBatch } from '../../src/policy/index.ts';
import { fromHex } from '../../src/protocol/bytes.ts';
import { rolloutDigests } from '../../src/protocol/commitment.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { type MinerSeeds, minerSeeds } from '../../src/protocol/seeds.ts';
import type { RolloutInput } from './types.ts';

/**
 * Batches that a thread keeps under way on a device: one computes, one is sent, one comes back, and the slots of the
 * fourth are stepped.
 */
export const LANES = 4;

/** Slots below which a lane's batch is too small to be worth sending by itself. */
const LANE_SLOTS = 16;

/** Everything but the policy: what a thread is told. */
export type SlotsInput = Omit<RolloutInput, 'policy'>;

/** The part of a window's slots that one thread plays. */
export interface SlotRange {
  readonly first: number;
  readonly slots: number;
}

/** Told of each step: how many slots took it. Throws to stop. */
export type OnStep = (slots: number) => void;

/** All seeds of the miner in the window. */
export function seedsOf(input: Pick<RolloutInput, 'genesisHash' | 'windowSeed' | 'miner'>): MinerSeeds {
  return minerSeeds(input.genesisHash, input.windowSeed, fromHex(input.miner));
}

/** Plays a range of slots with a policy that answers at once. Writes to `out`, the whole window's. */
export function playAtOnce(
  input: SlotsInput,
  range: SlotRange,
  out: RolloutArrays,
  policy: LoadedPolicy,
  onStep: OnStep = () => {},
): SlotEnds {
  const { run, seeds } = prepare(input, range, out);
  const { slots } = range;
  const { actions } = policy.policy.architecture;
  while (!run.done) {
    if (policy.act !== undefined) policy.act(run.observations, slots, seeds, run.step, run.actions);
    else sampleBatch(seeds, run.step, policy.logits(run.observations, slots), actions, run.actions);
    run.advance();
    onStep(slots);
  }
  return run.ends();
}

/** Plays a range of slots with a policy that answers later, in lanes that wait for one another in nothing. */
export function playLater(
  input: SlotsInput,
  range: SlotRange,
  out: RolloutArrays,
  policy: DevicePolicy,
  onStep: OnStep = () => {},
): Promise<SlotEnds[]> {
  const { actions } = policy.policy.architecture;
  const lane = async (part: SlotRange): Promise<SlotEnds> => {
    const { run, seeds } = prepare(input, part, out);
    while (!run.done) {
      const logits = await policy.logits(run.observations, part.slots);
      sampleBatch(seeds, run.step, logits, actions, run.actions);
      run.advance();
      onStep(part.slots);
    }
    return run.ends();
  };
  const lanes = Math.max(1, Math.min(LANES, Math.floor(range.slots / LANE_SLOTS)));
  return Promise.all(split(range, lanes).map(lane));
}

/** Digests of a range of slots, by slot: hashing is shared among the threads as playing is. */
export function digestsOf(input: SlotsInput, range: SlotRange, out: RolloutArrays): Uint8Array[] {
  const { genesis, genesisHash, window, slots } = input;
  const { stepsPerSlot, architecture } = genesis;
  const context = { genesisHash, window, address: fromHex(input.miner), actions: architecture.actions };
  return rolloutDigests(context, { slots, steps: stepsPerSlot, ...out }, range);
}

function prepare({ genesis, ...input }: SlotsInput, range: SlotRange, out: RolloutArrays) {
  const seeds = seedsOf(input);
  const { environment, groupSize, stepsPerSlot } = genesis;
  const place = { ...range, steps: stepsPerSlot };
  return {
    run: new SlotRun(environmentById(environment), seeds, groupSize, place, out),
    seeds: packSlotSeeds(seeds, range.slots, range.first),
  };
}

/** A range in `parts` parts whose sizes differ by one at most, in order. */
export function split({ first, slots }: SlotRange, parts: number): SlotRange[] {
  if (parts > slots || parts < 1)
    throw new GrailError('INTERNAL', `${slots} slots do not make ${parts} parts`);
  const edge = (part: number) => first + Math.floor((part * slots) / parts);
  return Array.from({ length: parts }, (_, part) => ({
    first: edge(part),
    slots: edge(part + 1) - edge(part),
  }));
}
