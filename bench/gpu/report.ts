import { renameSync, writeFileSync } from 'node:fs';
import type { Compliance } from './compliance.ts';
import type { Cuda } from './cuda.ts';
import type { Driver } from './driver.ts';
import type { Flags } from './flags.ts';
import type { Machine } from './machine.ts';
import type { Speed } from './speed.ts';
import type { Whole } from './whole.ts';

/** Exact policy steps a second of MinAtar's convolution that an H200 shall reach. */
const TARGET = { network: 'MinAtar Breakout', stepsPerSecond: 1_000_000 };

/** What the JSON file holds. Parts that were not reached are missing. */
export interface Report {
  readonly format: 1;
  /** Versions of what was packed. */
  readonly packed: Readonly<Record<string, string>>;
  readonly flags: Flags;
  readonly machine: Machine;
  /** False when it was stopped, or a part failed. */
  complete: boolean;
  error?: { readonly code: string; readonly message: string };
  /** The Vulkan driver that was taken, and every way that was tried to find one. */
  driver?: Pick<Driver, 'how' | 'adapter'> | null;
  tried?: readonly string[];
  /** What computes, and whether it is emulated on the processor: then no figure here is a GPU's. */
  device?: string;
  emulated?: boolean;
  /** Whether every logit and every rollout that was compared is the same. */
  exact?: boolean;
  rowsCompared?: number;
  compliance?: readonly Compliance[];
  cuda?: Cuda['found'] | { readonly missing: string };
  speed?: readonly Speed[];
  /** The fastest that WebGPU was; `reached` is null on a device that is emulated. */
  target?: typeof TARGET & {
    readonly best: number;
    readonly batch: number;
    readonly inFlight: number;
    readonly reached: boolean | null;
  };
  rollouts?: readonly Whole[];
}

/** Whole or not at all: the file is there after each part, and a run may be killed. */
export function writeReport(file: string, report: Report): void {
  writeFileSync(`${file}.part`, `${JSON.stringify(report, null, 2)}\n`);
  renameSync(`${file}.part`, file);
}

export function targetOf(speed: readonly Speed[]): Report['target'] {
  const best = speed
    .filter(
      ({ network, on, stepsPerSecond }) => network === TARGET.network && on === 'webgpu' && stepsPerSecond,
    )
    .toSorted((a, b) => b.stepsPerSecond! - a.stepsPerSecond!)[0];
  if (best === undefined) return undefined;
  const { batch, inFlight, emulated } = best;
  const reached = emulated ? null : best.stepsPerSecond! >= TARGET.stepsPerSecond;
  return { ...TARGET, best: best.stepsPerSecond!, batch, inFlight, reached };
}

const MARK = ' (emulated: not a GPU)';
const thousand = (rate: number) => Number((rate / 1000).toPrecision(3));

export function printCompliance(results: readonly Compliance[]): void {
  console.log('\nCompliance: logits against the integer kernel, samples of them against the reference');
  console.table(
    Object.fromEntries(
      results.map(({ network, exact, policies, rows, referenceRows }) => [
        network,
        { exact, policies, rows, 'by reference': referenceRows },
      ]),
    ),
  );
  for (const { network, failures } of results) {
    for (const { code, message } of failures) console.log(`${network}: ${code}: ${message}`);
  }
}

export function printSpeed(results: readonly Speed[]): void {
  for (const name of new Set(results.map(({ network }) => network))) {
    console.log(`\n${name}: thousand policy steps a second`);
    const rows: Record<string, Record<string, number | string>> = {};
    for (const { network, on, emulated, inFlight, batch, stepsPerSecond } of results) {
      if (network !== name) continue;
      const label = `${on}${on === 'webgpu' ? `, ${inFlight} in flight` : ''}${emulated ? MARK : ''}`;
      rows[label] = {
        ...rows[label],
        [`batch ${batch}`]: stepsPerSecond === null ? 'failed' : thousand(stepsPerSecond),
      };
    }
    console.table(rows);
  }
}

export function printWhole(results: readonly Whole[], emulated: boolean): void {
  const [first] = results;
  if (first === undefined) return;
  console.log(`\nWhole rollouts of ${first.environment}: ${first.slots} slots of ${first.steps} steps`);
  console.table(
    Object.fromEntries(
      results.map(({ on, threads, rolloutsPerSecond, stepsPerSecond, exact }) => [
        `${on}, threads: ${threads}${on === 'webgpu' && emulated ? MARK : ''}`,
        {
          'rollouts/s': Number(rolloutsPerSecond.toPrecision(3)),
          'thousand steps/s': thousand(stepsPerSecond),
          exact,
        },
      ]),
    ),
  );
}
