import type { MinerEvent } from '../../rollouts/events.ts';
import type { Genesis } from '../params/genesis.ts';
import { PHASES, type Phase } from '../protocol/phases.ts';
import { credit } from '../replica/credit.ts';
import { duration, table } from './text.ts';

type Rejected = Extract<MinerEvent, { event: 'rejected' }>;
type Failed = Extract<MinerEvent, { event: 'failed' }>;

/** What a window of a dry run came to. */
export interface DryWindow {
  readonly window: number;
  /** Seconds from the beginning of each phase to the acknowledgement of what it asks for. */
  readonly seconds: Partial<Record<Phase, number>>;
  readonly stepsPerSecond: number | null;
  /** Whether the verdict credited it. */
  readonly accepted: boolean;
}

/** What a dry run showed. */
export interface DryRunResult {
  /** Every window was credited and nothing was refused. */
  readonly accepted: boolean;
  /** No phase took longer than the limit. */
  readonly inTime: boolean;
  readonly slots: number;
  readonly limitSeconds: number;
  readonly slowest: { readonly window: number; readonly phase: Phase; readonly seconds: number } | null;
  /** Base units that a window would credit, beside the slots of others. */
  readonly credit: number;
  readonly othersSlots: number;
  readonly emission: number;
  /** The first rejection, at the gate or in a verdict. */
  readonly rejection: Rejected | null;
  /** What went wrong on this machine and was given up. */
  readonly failure: Failed | null;
  readonly windows: readonly DryWindow[];
}

interface Times {
  readonly began: Map<Phase, number>;
  readonly seconds: Partial<Record<Phase, number>>;
  stepsPerSecond: number | null;
  accepted: boolean;
}

/** Follows the events of a dry run's miner. */
export class DryRunReport {
  readonly #now: () => number;
  readonly #windows = new Map<number, Times>();
  #rejection: Rejected | null = null;
  #failure: Failed | null = null;

  /** @param now milliseconds of a clock that only moves forward */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Whether a window cannot be credited any more. */
  get lost(): boolean {
    return this.#rejection !== null || this.#failure !== null;
  }

  event(event: MinerEvent): void {
    switch (event.event) {
      case 'connected':
        this.#begin(event.window, 'enrol');
        return;
      case 'phase':
        if (event.phase === 'done') return;
        this.#begin(event.window, event.phase as Phase);
        if (event.phase === 'commit') this.#begin(event.window + 1, 'enrol');
        return;
      case 'enrolled':
        this.#end(event.window, 'enrol');
        return;
      case 'committed':
        this.#end(event.window, 'commit');
        return;
      case 'opened':
        this.#end(event.window, 'opening');
        return;
      case 'proved':
        // The last part's end is the phase's.
        this.#end(event.window, 'prove');
        return;
      case 'rollouts':
        this.#window(event.window).stepsPerSecond = event.stepsPerSecond;
        return;
      case 'rejected':
        this.#rejection ??= event;
        return;
      case 'failed':
        if (event.retryMs === null) this.#failure ??= event;
        return;
      case 'verdict':
        this.#window(event.window).accepted = this.#rejection?.window !== event.window;
        return;
    }
  }

  /** @param terms what is compared with: how long phases wait, and how many slots others have */
  result(
    genesis: Genesis,
    terms: { readonly slots: number; readonly limitSeconds: number; readonly othersSlots: number },
  ): DryRunResult {
    const windows = [...this.#windows]
      .filter(([, { began }]) => began.has('commit'))
      .map(([window, { seconds, stepsPerSecond, accepted }]) => ({
        window,
        seconds,
        stepsPerSecond,
        accepted,
      }));
    const times = windows.flatMap(({ window, seconds }) =>
      PHASES.flatMap((phase) => {
        const took = seconds[phase];
        return took === undefined ? [] : [{ window, phase, seconds: took }];
      }),
    );
    const slowest = times.sort((a, b) => b.seconds - a.seconds)[0] ?? null;
    const { slots, othersSlots, limitSeconds } = terms;
    return {
      accepted: !this.lost && windows.length > 0 && windows.every(({ accepted }) => accepted),
      inTime: slowest !== null && slowest.seconds <= limitSeconds,
      slots,
      limitSeconds,
      slowest,
      credit: credit(genesis, slots, slots + othersSlots),
      othersSlots,
      emission: genesis.emission,
      rejection: this.#rejection,
      failure: this.#failure,
      windows,
    };
  }

  #window(window: number): Times {
    let times = this.#windows.get(window);
    if (times === undefined) {
      times = { began: new Map(), seconds: {}, stepsPerSecond: null, accepted: false };
      this.#windows.set(window, times);
    }
    return times;
  }

  #begin(window: number, phase: Phase): void {
    const { began } = this.#window(window);
    if (!began.has(phase)) began.set(phase, this.#now());
  }

  #end(window: number, phase: Phase): void {
    const { began, seconds } = this.#window(window);
    const since = began.get(phase);
    if (since !== undefined) seconds[phase] = (this.#now() - since) / 1000;
  }
}

const count = (value: number) => value.toLocaleString('en');

/** The result for a terminal, line by line. */
export function describeDryRun(result: DryRunResult): string[] {
  const {
    accepted,
    inTime,
    slots,
    limitSeconds,
    slowest,
    othersSlots,
    emission,
    rejection,
    failure,
    windows,
  } = result;
  const cell = (seconds: number | undefined) => (seconds === undefined ? '' : seconds.toFixed(2));
  const lines = table([
    ['window', ...PHASES.map((phase) => `${phase} s`), 'steps/s', 'accepted'],
    ...windows.map(({ window, seconds, stepsPerSecond, accepted: credited }) => [
      String(window),
      ...PHASES.map((phase) => cell(seconds[phase])),
      stepsPerSecond === null ? '' : count(stepsPerSecond),
      credited ? 'yes' : 'no',
    ]),
  ]);
  if (rejection !== null) {
    const sentence = rejection.at === 'gate' ? `${rejection.code}: ${rejection.reason}` : rejection.reason;
    lines.push(`rejected: ${sentence}`, `what to do: ${rejection.advice}`);
  } else if (failure !== null) {
    lines.push(`failed: ${failure.step}: ${failure.code}: ${failure.message}`);
  } else lines.push(accepted ? 'accepted: every window' : 'accepted: no, not every window came to a verdict');
  if (slowest !== null) {
    const { phase, window, seconds } = slowest;
    const what = `the slowest phase (${phase} of window ${window}) took ${duration(seconds)} of ${duration(limitSeconds)}`;
    lines.push(`in time: ${inTime ? 'yes' : 'no'}, ${what}`);
  }
  if (accepted) {
    const share = emission === 0 ? 0 : (100 * result.credit) / emission;
    const beside = othersSlots === 0 ? 'alone' : `beside ${count(othersSlots)} slots of others`;
    lines.push(
      `credits: ${count(result.credit)} a window for ${slots} ${slots === 1 ? 'slot' : 'slots'} ${beside}, ${share.toFixed(1)}% of its emission`,
    );
  }
  return lines;
}
