import { type Kernel, pointBytes } from './kernel.ts';
import type { PointTable, ProvingKey } from './proving-key.ts';
import { sumPart, workBytesFor } from './sums.ts';

/** One sum of a proof, or a part of one, that any thread may do. */
export interface SumJob {
  readonly table: PointTable;
  /** Address of its scalars. */
  readonly scalars: number;
  /** Where the point goes. */
  readonly out: number;
  readonly part: number;
  readonly parts: number;
  /** It must wait for the quotient. */
  readonly late: boolean;
}

/** All that a thread needs to know to do jobs; addresses. */
export interface JobList {
  readonly jobs: readonly SumJob[];
  /** Two int32: the next job's number, and 1 once the quotient is there. */
  readonly control: number;
}

/** The quotient's sum is half of the work: it is done in so many parts. */
const LATE_PARTS = 4;

/** Sums of a proof: those that need only the witness first, the longest of them foremost. */
export function planJobs(
  kernel: Kernel,
  key: ProvingKey,
  scalars: number,
  quotient: number,
): {
  readonly list: JobList;
  readonly of: Readonly<Record<'a' | 'b1' | 'b2' | 'c' | 'h', readonly SumJob[]>>;
} {
  const plan = (table: PointTable, at: number, parts: number, late: boolean): SumJob[] =>
    Array.from({ length: parts }, (_, part) => {
      return { table, scalars: at, out: kernel.allocate(pointBytes(table.degree)), part, parts, late };
    });
  const of = {
    b2: plan(key.b2, scalars, 1, false),
    c: plan(key.c, scalars, 1, false),
    a: plan(key.a, scalars, 1, false),
    b1: plan(key.b1, scalars, 1, false),
    h: plan(key.h, quotient, LATE_PARTS, true),
  };
  return { list: { jobs: [...of.b2, ...of.c, ...of.a, ...of.b1, ...of.h], control: kernel.allocate(8) }, of };
}

/** Bytes of work that one thread needs for any of the jobs. */
export function jobWorkBytes(kernel: Kernel, { jobs }: JobList): number {
  return Math.max(...jobs.map(({ table }) => workBytesFor(kernel, table)));
}

/** Before threads are called; `done`: there is nothing to do, they only start. */
export function resetJobs(kernel: Kernel, { jobs, control }: JobList, done = false): void {
  const words = new Int32Array(kernel.memory.buffer, control, 2);
  Atomics.store(words, 0, done ? jobs.length : 0);
  Atomics.store(words, 1, 0);
}

/** Lets late jobs begin. */
export function releaseLateJobs(kernel: Kernel, { control }: JobList): void {
  const words = new Int32Array(kernel.memory.buffer, control, 2);
  Atomics.store(words, 1, 1);
  Atomics.notify(words, 1);
}

/** Does jobs until none is left; other threads do the same at the same time. */
export function workOff(kernel: Kernel, { jobs, control }: JobList, work: number): void {
  const words = new Int32Array(kernel.memory.buffer, control, 2);
  for (;;) {
    const job = jobs[Atomics.add(words, 0, 1)];
    if (job === undefined) return;
    if (job.late) Atomics.wait(words, 1, 0);
    sumPart(kernel, job.table, job.scalars, job.out, work, job.part, job.parts);
  }
}
