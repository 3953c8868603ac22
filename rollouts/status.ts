import type { Phase } from '../src/protocol/phases.ts';
import type { MinerEvent, Progress } from './events.ts';
import { partsOf, waitsFor } from './plan.ts';
import type { NetworkView, WindowView } from './view.ts';

type EventOf<K extends MinerEvent['event']> = Extract<MinerEvent, { event: K }>;

/** How far the present work of a window is. */
export interface WorkStatus {
  readonly done: number;
  readonly total: number;
  readonly unit: 'steps' | 'proofs';
  readonly perSecond: number | null;
  readonly etaSeconds: number | null;
}

/** A window that the miner is in, or could be. */
export interface WindowStatus {
  readonly window: number;
  readonly phase: Phase;
  /** Seconds since the phase began, or since this process first saw it. */
  readonly seconds: number;
  /** What the miner does in it, in words. */
  readonly doing: string;
  readonly work: WorkStatus | null;
}

/** What a miner's terminal shows: the windows that are under way and what came of earlier ones. */
export class MinerStatus {
  readonly #now: () => number;
  readonly #phases = new Map<number, { readonly phase: string; readonly sinceMs: number }>();
  readonly #playing = new Map<number, Extract<Progress, { kind: 'playing' }>>();
  readonly #proving = new Map<number, { readonly part: number; readonly sinceMs: number }>();
  /** What the last proof took; null before there is one. */
  #proofMs: number | null = null;
  accepted = 0;
  rejected = 0;
  lastVerdict: EventOf<'verdict'> | null = null;
  lastRejection: EventOf<'rejected'> | null = null;
  /** What is in the way now: the verifier is away, a step failed, or the key may not enrol yet. */
  trouble: EventOf<'disconnected' | 'failed' | 'waiting' | 'finished'> | null = null;
  stopping = false;
  /** The miner has ended. */
  over = false;

  /** @param now milliseconds of a clock that only moves forward */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Takes what the miner reports. */
  event(event: MinerEvent): void {
    switch (event.event) {
      case 'disconnected':
      case 'failed':
      case 'waiting':
      case 'finished':
        this.trouble = event;
        return;
      case 'connected':
      case 'enrolled':
      case 'committed':
      case 'opened':
        this.trouble = null;
        return;
      case 'proved': {
        this.trouble = null;
        const proof = this.#proving.get(event.window);
        if (proof?.part === event.part) this.#proofMs = this.#now() - proof.sinceMs;
        this.#proving.delete(event.window);
        return;
      }
      case 'rejected':
        this.lastRejection = event;
        if (event.at === 'verdict') this.rejected++;
        return;
      case 'verdict':
        if (this.lastRejection?.at !== 'verdict' || this.lastRejection.window !== event.window)
          this.accepted++;
        this.lastVerdict = event;
        this.#playing.delete(event.window);
        this.#proving.delete(event.window);
        return;
      case 'stopping':
        this.stopping = true;
        return;
      case 'stopped':
        this.over = true;
        this.trouble = null;
        return;
    }
  }

  /** Takes what the miner is in the middle of. */
  progress(progress: Progress): void {
    if (progress.kind === 'playing') this.#playing.set(progress.window, progress);
    else this.#proving.set(progress.window, { part: progress.part, sinceMs: this.#now() });
  }

  /** The windows that the miner is enrolled in, oldest first; the one that is open for enrolment where there is none. */
  windows(view: NetworkView): WindowStatus[] {
    for (const window of this.#phases.keys()) if (!view.windows.has(window)) this.#phases.delete(window);
    const open = [...view.windows.values()].filter(({ phase }) => phase !== 'done');
    const enrolled = open.filter((state) => view.slots(state) > 0).sort((a, b) => a.window - b.window);
    const shown = enrolled.length > 0 ? enrolled : open.filter(({ phase }) => phase === 'enrol');
    return shown.map((state) => this.#window(view, state));
  }

  #window(view: NetworkView, state: WindowView): WindowStatus {
    const { window } = state;
    const phase = state.phase as Phase;
    const nowMs = this.#now();
    const seen = this.#phases.get(window);
    const sinceMs = seen?.phase === phase ? seen.sinceMs : nowMs;
    this.#phases.set(window, { phase, sinceMs });
    return { window, phase, seconds: (nowMs - sinceMs) / 1000, ...this.#doing(view, state) };
  }

  #doing(view: NetworkView, state: WindowView): Pick<WindowStatus, 'doing' | 'work'> {
    const { window, phase } = state;
    if (view.slots(state) === 0) return { doing: 'not enrolled', work: null };
    if (phase === 'commit' && state.commits.length === 0) {
      const progress = this.#playing.get(window);
      if (progress === undefined) return { doing: 'playing', work: null };
      const { done, total, stepsPerSecond, etaSeconds } = progress;
      return {
        doing: 'playing',
        work: { done, total, unit: 'steps', perSecond: stepsPerSecond, etaSeconds },
      };
    }
    if (phase === 'opening' && state.openings.length === 0) return { doing: 'opening', work: null };
    const total = partsOf(view.genesis);
    const done = new Set(state.proofs.map(({ part }) => part)).size;
    if (phase !== 'prove' || done >= total)
      return { doing: `waits for ${waitsFor(view, state)}`, work: null };
    const perSecond = this.#proofMs === null ? null : 1000 / this.#proofMs;
    const work = {
      done,
      total,
      unit: 'proofs',
      perSecond,
      etaSeconds: this.#proofEta(window, total - done),
    } as const;
    return { doing: 'proving', work };
  }

  #proofEta(window: number, left: number): number | null {
    if (this.#proofMs === null) return null;
    const proof = this.#proving.get(window);
    const spentMs = proof === undefined ? 0 : this.#now() - proof.sinceMs;
    return Math.max(0, left * this.#proofMs - spentMs) / 1000;
  }
}
