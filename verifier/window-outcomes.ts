import type { Policy } from '../src/policy/architecture.ts';
import type { Hex } from '../src/protocol/bytes.ts';
import type { WindowInput, WindowWork } from '../src/replica/judge.ts';
import type { Log } from './log.ts';
import type { WorkMetrics } from './metrics/work.ts';

/** Who replays, checks and trains for a sequencer. */
export interface WindowJudge {
  /** Judges a window; windows are given in order. */
  process(input: WindowInput): Promise<WindowWork>;
  /** Mean return of a policy over fresh episodes. */
  evaluate(policy: Policy, episodes: number): Promise<number>;
}

/** What the window's work gave, and the mean return of the policy it made over fresh episodes (null: not measured). */
export interface WindowOutcome {
  readonly work: WindowWork;
  readonly evaluation: number | null;
  /** Seconds that replay and training took, with the wait for whoever does them. */
  readonly seconds: number;
}

export interface WindowOutcomesParts {
  readonly judge: WindowJudge;
  /** Fresh episodes over which each policy is evaluated; 0 does not. */
  readonly evaluationEpisodes: number;
  readonly metrics: WorkMetrics;
  readonly log: Log;
  /** Hears that a window was judged. */
  readonly onJudged: () => void;
  /** Hears of a window that cannot be judged. */
  readonly onFailed: (error: Error) => void;
}

/** Windows that are being judged, from their challenge to their verdict; openings and proofs come meanwhile. */
export class WindowOutcomes {
  readonly #parts: WindowOutcomesParts;
  readonly #outcomes = new Map<number, Promise<WindowOutcome>>();
  /** Miners whose commitment was rejected, by window. */
  readonly #rejected = new Map<number, ReadonlySet<Hex>>();

  constructor(parts: WindowOutcomesParts) {
    this.#parts = parts;
  }

  start(input: WindowInput): void {
    const outcome = this.#judge(input);
    this.#outcomes.set(input.window, outcome);
    outcome.catch(this.#parts.onFailed);
  }

  /** The outcome of a window that was started. */
  of(window: number): Promise<WindowOutcome> {
    return this.#outcomes.get(window)!;
  }

  /** Whether the judge has rejected the miner's commitment: it cannot be credited any more. */
  rejected(window: number, miner: Hex): boolean {
    return this.#rejected.get(window)?.has(miner) ?? false;
  }

  forget(window: number): void {
    this.#outcomes.delete(window);
    this.#rejected.delete(window);
  }

  async #judge(input: WindowInput): Promise<WindowOutcome> {
    const { judge, evaluationEpisodes, metrics, log, onJudged } = this.#parts;
    const began = performance.now();
    const work = await judge.process(input);
    const seconds = (performance.now() - began) / 1000;
    const rejected = work.judgements.filter(({ rejection }) => rejection !== null);
    this.#rejected.set(input.window, new Set(rejected.map(({ miner }) => miner)));
    onJudged();
    if (evaluationEpisodes === 0) return { work, evaluation: null, seconds };
    const evaluating = performance.now();
    try {
      const evaluation = await judge.evaluate(work.policy, evaluationEpisodes);
      metrics.windowWork('evaluate', (performance.now() - evaluating) / 1000);
      return { work, evaluation, seconds };
    } catch (error) {
      // A report that nothing in the protocol reads: the network goes on without it.
      log.warn(`policy ${work.update.version} was not evaluated: ${(error as Error).message}`);
      return { work, evaluation: null, seconds };
    }
  }
}
