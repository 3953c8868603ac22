import type { Figures, Finding } from './examine.ts';

/** What came of one part of the program. */
export interface Outcome {
  readonly part: string;
  readonly seconds: number;
  readonly figures: Figures;
  readonly findings: readonly Finding[];
  /** How often each kind of process was killed, or what was done. */
  readonly disturbances: Readonly<Record<string, number>>;
  /** What was seen on the way, in sentences. */
  readonly observed: readonly string[];
}

/** Where a part tells how far it is, and what stops it. */
export interface Run {
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}
