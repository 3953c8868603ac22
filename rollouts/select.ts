import type { Rollouts } from '../src/environments/index.ts';

/** The rollouts of some slots, in the order given, as if they were the whole: `chosen[i]` becomes slot i. */
export function selectSlots(all: Rollouts, chosen: readonly number[]): Rollouts {
  const { steps } = all;
  const width = all.observations.length / (all.slots * steps);
  const size = chosen.length * steps;
  const out = {
    observations: new Int8Array(size * width),
    actions: new Uint16Array(size),
    rewards: new Float32Array(size),
    terminated: new Uint8Array(size),
    truncated: new Uint8Array(size),
  };
  const bootstrap: { index: number; observation: Int8Array }[] = [];
  for (const [to, from] of chosen.entries()) {
    const [start, end] = [from * steps, (from + 1) * steps];
    out.observations.set(all.observations.subarray(start * width, end * width), to * steps * width);
    out.actions.set(all.actions.subarray(start, end), to * steps);
    out.rewards.set(all.rewards.subarray(start, end), to * steps);
    out.terminated.set(all.terminated.subarray(start, end), to * steps);
    out.truncated.set(all.truncated.subarray(start, end), to * steps);
    for (const [i, index] of all.bootstrapIndex.entries()) {
      if (index < start || index >= end) continue;
      const observation = all.bootstrapObservations.subarray(i * width, (i + 1) * width);
      bootstrap.push({ index: index - start + to * steps, observation });
    }
  }
  const bootstrapObservations = new Int8Array(bootstrap.length * width);
  for (const [i, { observation }] of bootstrap.entries()) bootstrapObservations.set(observation, i * width);
  return {
    slots: chosen.length,
    steps,
    ...out,
    bootstrapIndex: Uint32Array.from(bootstrap, ({ index }) => index),
    bootstrapObservations,
    episodes: chosen.flatMap((from, slot) =>
      all.episodes.filter((episode) => episode.slot === from).map((episode) => ({ ...episode, slot })),
    ),
  };
}
