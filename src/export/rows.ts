import { environmentById } from '../environments/index.ts';
import type { EpisodeSummary, Rollouts } from '../environments/slots.ts';
import { type Hex, toHex } from '../protocol/bytes.ts';
import { canonicalText, type Json } from '../protocol/canonical.ts';
import { GrailError } from '../protocol/errors.ts';
import { phaseRoot } from '../protocol/phases.ts';
import type { MinerResult } from '../replica/bodies.ts';
import { committedRollouts } from '../replica/replay.ts';
import type { NetworkState } from '../replica/state.ts';
import { windowInput } from '../replica/window-input.ts';
import type { Row } from './table.ts';
import { METRIC_NAMES } from './tables.ts';
import type { JudgedWindow } from './visit.ts';

export function windowRow({ state, window, verdict, closers, messages }: JudgedWindow): Row {
  const { results, update } = verdict;
  const { open, challenge, fold } = window;
  const rejected = results.filter(({ rejection }) => rejection !== null).length;
  const sum = (of: (result: MinerResult) => number) => results.reduce((all, result) => all + of(result), 0);
  return {
    window: window.window,
    openEntry: closers.open,
    challengeEntry: closers.challenge,
    foldEntry: closers.fold,
    verdictEntry: closers.verdict,
    messages,
    policyVersion: open!.policyVersion,
    policyRoot: toHex(open!.policyRoot),
    enrolRoot: toHex(phaseRoot(state.genesisHash, window.enrolments.counted())),
    commitRoot: toHex(challenge!.commitRoot),
    openingsRoot: toHex(fold!.openingsRoot),
    rewardRoot: verdict.rewardRoot,
    enrolled: results.length,
    slots: sum(({ slots }) => slots),
    accepted: results.length - rejected,
    rejected,
    trained: results.filter(({ trained }) => trained).length,
    credits: sum(({ credit }) => credit),
    patchBytes: update.patch.bytes,
    anchorBytes: update.anchor?.bytes ?? null,
    fullBytes: update.fullBytes,
    ...Object.fromEntries(METRIC_NAMES.map((name) => [name, update.metrics[name] ?? null])),
  };
}

export function* rewardRows({ window, verdict }: JudgedWindow): Generator<Row> {
  const text = (value: Json | undefined) =>
    value === undefined || typeof value === 'string' ? (value ?? null) : canonicalText(value);
  for (const { miner, slots, credit, rejection, meanReturn, trained, proofs } of verdict.results) {
    yield {
      window: window.window,
      miner,
      slots,
      credit,
      rejectionCode: rejection?.code ?? null,
      rejectionSlot: rejection?.slot ?? null,
      rejectionStep: rejection?.step ?? null,
      rejectionPart: rejection?.part ?? null,
      expected: text(rejection?.expected),
      got: text(rejection?.got),
      meanReturn,
      trained,
      proofs,
    };
  }
}

export function* metricRows({ window, verdict }: JudgedWindow): Generator<Row> {
  for (const [name, value] of Object.entries(verdict.update.metrics)) {
    const isText = typeof value === 'string';
    yield {
      window: window.window,
      name,
      value: isText ? null : value,
      text: isText ? value : null,
    };
  }
}

/** What a miner committed in a window, stepped again. */
export interface Replayed {
  readonly window: number;
  readonly miner: Hex;
  readonly trained: boolean;
  readonly rollouts: Rollouts;
  /** Those that ended, and those that their slot cut off, by slot and start. */
  readonly episodes: readonly EpisodeSummary[];
}

/** Every commitment of a window that counts, one at a time. One that does not hold actions of this environment is passed over. */
export function* replayed({ state, window, verdict }: JudgedWindow): Generator<Replayed> {
  const { genesis, genesisHash } = state;
  const environment = environmentById(genesis.environment);
  const { windowSeed, commits } = windowInput(window);
  for (const commit of commits) {
    let rollouts: Rollouts;
    try {
      rollouts = committedRollouts({ genesis, genesisHash, environment, windowSeed }, commit);
    } catch (error) {
      if (error instanceof GrailError) continue;
      throw error;
    }
    const { miner } = commit;
    const { trained } = verdict.results.find((result) => result.miner === miner)!;
    yield { window: window.window, miner, trained, rollouts, episodes: allEpisodes(rollouts) };
  }
}

function allEpisodes({ slots, steps, episodes, rewards }: Rollouts): EpisodeSummary[] {
  const bySlot = Array.from({ length: slots }, (): EpisodeSummary[] => []);
  for (const episode of episodes) bySlot[episode.slot]!.push(episode);
  for (const [slot, list] of bySlot.entries()) {
    const last = list.at(-1);
    const start = last === undefined ? 0 : last.start + last.length;
    if (start === steps) continue;
    let total = 0;
    for (let step = start; step < steps; step++) total += rewards[slot * steps + step]!;
    list.push({ slot, start, length: steps - start, return: total });
  }
  return bySlot.flat();
}

export function* episodeRows({ window, miner, trained, rollouts, episodes }: Replayed): Generator<Row> {
  let before: EpisodeSummary | null = null;
  let episode = 0;
  for (const summary of episodes) {
    const { slot, start, length } = summary;
    episode = before?.slot === slot ? episode + 1 : 0;
    before = summary;
    const end = slot * rollouts.steps + start + length - 1;
    yield {
      window,
      miner,
      slot,
      episode,
      start,
      length,
      return: summary.return,
      terminated: rollouts.terminated[end] === 1,
      truncated: rollouts.truncated[end] === 1,
      trained,
    };
  }
}

export function* stepRows({ window, miner, rollouts }: Replayed): Generator<Row> {
  const { slots, steps, observations, actions, rewards, terminated, truncated } = rollouts;
  const width = observations.length / (slots * steps);
  for (let slot = 0; slot < slots; slot++) {
    let episode = 0;
    for (let step = 0; step < steps; step++) {
      const at = slot * steps + step;
      const [isTerminated, isTruncated] = [terminated[at] === 1, truncated[at] === 1];
      yield {
        window,
        miner,
        slot,
        step,
        episode,
        observation: observations.subarray(at * width, (at + 1) * width),
        action: actions[at]!,
        reward: rewards[at]!,
        terminated: isTerminated,
        truncated: isTruncated,
      };
      if (isTerminated || isTruncated) episode++;
    }
  }
}

/** Every version that is known, once all entries are applied. A bundle knows some. */
export function* policyRows({ versions }: NetworkState): Generator<Row> {
  for (const published of versions) {
    if (published === undefined) continue;
    const { version, policyRoot, trainerStateRoot, patch, anchor } = published;
    yield {
      version,
      window: version === 0 ? null : version - 1,
      policyRoot,
      trainerStateRoot,
      patchHash: patch?.hash ?? null,
      patchBytes: patch?.bytes ?? null,
      anchorHash: anchor?.hash ?? null,
      anchorBytes: anchor?.bytes ?? null,
    };
  }
}
