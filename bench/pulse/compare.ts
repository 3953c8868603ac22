import { median } from '../support/timing.ts';
import { ChangeHistory, entropyBounds } from './entropy.ts';
import { Follower } from './follower.ts';
import { type NamedTensor, RIVALS } from './rivals/index.ts';
import { bytesOf } from './rivals/rival.ts';

/** A codec on one or more updates of a chain: sums and medians. */
export interface Row {
  readonly codec: string;
  /** Bits a changed weight, descriptions of tensors apart; and with them. */
  readonly bits: number | null;
  readonly bitsWithHeader: number | null;
  /** Of the full bf16 state to the whole patch. */
  readonly ratio: number | null;
  readonly encodeMs: number | null;
  readonly applyMs: number | null;
  readonly note?: string;
}

export interface Comparison {
  readonly chain: string;
  readonly updates: readonly number[];
  readonly weights: number;
  /** Mean share of changed weights at these updates. */
  readonly density: number;
  readonly rows: readonly Row[];
}

interface Sample {
  readonly changed: number;
  readonly bytes: number;
  readonly headerBytes: number;
  readonly encodeMs: number;
  readonly applyMs: number;
}

/**
 * Follows a chain from its start and compares the codecs at the given updates, all on the same input in the same process.
 * Ours is followed with its history and, at those updates, without one.
 */
export async function compare(
  chain: string,
  states: AsyncIterable<ChainStep> | Iterable<ChainStep>,
  at: readonly number[],
  onStep: (step: number) => void = () => {},
): Promise<Comparison> {
  const samples = new Map<string, Sample[]>();
  const notes = new Map<string, string>();
  const add = (codec: string, sample: Sample) => samples.set(codec, [...(samples.get(codec) ?? []), sample]);
  let previous: Uint16Array | undefined;
  let follower: Follower | undefined;
  let seen: ChangeHistory | undefined;
  let weights = 0;
  for await (const { step, state, tensors } of states) {
    if (previous === undefined) {
      follower = new Follower(tensors, state, 'history');
      seen = new ChangeHistory(state.length);
      weights = state.length;
    } else {
      const sync = follower!.advance(state);
      if (at.includes(step)) {
        add(OURS, sync);
        add(OURS_FRESH, new Follower(tensors, previous, 'alone').advance(state));
        add(OURS_OVERWRITING, new Follower(tensors, previous, 'overwrite').advance(state));
        for (const rival of RIVALS) {
          const missing = rival.missing();
          if (missing === null) add(rival.name, measured(rival, previous, state, tensors, sync.changed));
          else notes.set(rival.name, missing);
        }
        const bounds = entropyBounds(previous, state, seen!);
        for (const [name, { index, value }] of [
          ['bound: exponent, values independent', bounds.exponent],
          ['bound: exponent, age and direction', bounds.history],
        ] as const) {
          add(name, { ...NOTHING, changed: sync.changed, bytes: (index + value) / 8 });
        }
      }
      seen!.observe(previous, state);
    }
    previous = state.slice();
    onStep(step);
  }
  const changes = samples.get(OURS)!.reduce((sum, { changed }) => sum + changed, 0);
  const rows = [...samples].map(([codec, list]) => row(codec, list, weights));
  for (const [codec, note] of notes) rows.push({ ...UNMEASURED, codec, note });
  return { chain, updates: at, weights, density: changes / at.length / weights, rows };
}

export const OURS = 'PULSE, with history';
export const OURS_FRESH = 'PULSE, without history';
const OURS_OVERWRITING = 'PULSE, overwriting';

export interface ChainStep {
  readonly step: number;
  readonly state: Uint16Array;
  readonly tensors: readonly NamedTensor[];
}

const NOTHING = { changed: 0, bytes: 0, headerBytes: 0, encodeMs: Number.NaN, applyMs: Number.NaN };
const UNMEASURED = { bits: null, bitsWithHeader: null, ratio: null, encodeMs: null, applyMs: null };

function measured(
  rival: (typeof RIVALS)[number],
  base: Uint16Array,
  target: Uint16Array,
  tensors: readonly NamedTensor[],
  changed: number,
): Sample {
  const began = performance.now();
  const bytes = rival.encode(base, target, tensors);
  const encoded = performance.now();
  const back = rival.decode(base, bytes, tensors);
  const done = performance.now();
  if (Buffer.compare(bytesOf(back), bytesOf(target)) !== 0) throw new Error(`${rival.name} is not lossless`);
  return {
    changed,
    bytes: bytes.length,
    headerBytes: rival.headerBytes(bytes),
    encodeMs: encoded - began,
    applyMs: done - encoded,
  };
}

function row(codec: string, samples: readonly Sample[], weights: number): Row {
  const sum = (pick: (sample: Sample) => number) =>
    samples.reduce((total, sample) => total + pick(sample), 0);
  const changed = sum((sample) => sample.changed);
  const bytes = sum((sample) => sample.bytes);
  const ms = (pick: (sample: Sample) => number) => {
    const value = median(samples.map(pick));
    return Number.isNaN(value) ? null : value;
  };
  return {
    codec,
    bits: (8 * sum((sample) => sample.bytes - sample.headerBytes)) / changed,
    bitsWithHeader: (8 * bytes) / changed,
    ratio: (2 * weights * samples.length) / bytes,
    encodeMs: ms((sample) => sample.encodeMs),
    applyMs: ms((sample) => sample.applyMs),
  };
}
