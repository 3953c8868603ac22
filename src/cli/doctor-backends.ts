import { once } from 'node:events';
import type { BackendName } from '../backends/index.ts';
import type { Code } from '../protocol/codes.ts';
import { GrailError } from '../protocol/errors.ts';
import { forkModule } from '../storage/fork-module.ts';

/** Rows of the batches that are measured. */
export const PROBE_BATCHES = [1, 64, 1024, 8192] as const;

/** What the process that tries a backend says, in this order. */
export type ProbeMessage =
  | { readonly type: 'found'; readonly device: string; readonly emulated: boolean }
  | { readonly type: 'exact' }
  | { readonly type: 'rate'; readonly batch: number; readonly stepsPerSecond: number }
  | { readonly type: 'done'; readonly residentBytes: number }
  | { readonly type: 'failed'; readonly code: Code; readonly message: string };

/** What one backend is good for here. */
export interface BackendReport {
  readonly backend: BackendName;
  /** Whether it starts here. */
  readonly found: boolean;
  /** Whether it passed every known-answer vector. */
  readonly exact: boolean;
  /** What computes, in words; null where nothing was found. */
  readonly device: string | null;
  /** An accelerator that is emulated on the processor. */
  readonly emulated: boolean;
  /** Policy steps a second of one thread, by rows of a batch; larger batches are missing where they would take seconds. */
  readonly rates: readonly { readonly batch: number; readonly stepsPerSecond: number }[];
  /** Bytes of memory of a process that runs it, the runtime included. */
  readonly residentBytes: number | null;
  readonly code: Code | null;
  readonly message: string;
}

/** Tries a backend in a process of its own, with the network of an environment's recipe. */
export async function tryBackend(
  backend: BackendName,
  environment: string,
  signal: AbortSignal,
): Promise<BackendReport> {
  const child = forkModule(import.meta.url, 'doctor-probe', [backend, environment]);
  const stop = () => child.kill('SIGKILL');
  signal.addEventListener('abort', stop, { once: true });
  let report: BackendReport = {
    backend,
    found: false,
    exact: false,
    device: null,
    emulated: false,
    rates: [],
    residentBytes: null,
    code: 'BACKEND_LOST',
    message: 'its process ended without a word',
  };
  child.on('message', (message: ProbeMessage) => {
    report = heard(report, message);
  });
  // Drivers are talkative; what matters comes as a message.
  child.stdout?.resume();
  child.stderr?.resume();
  const [status, killedBy] = (await once(child, 'close')) as [number | null, string | null];
  signal.removeEventListener('abort', stop);
  if (signal.aborted) throw new GrailError('STOPPED', 'the check was stopped');
  if (report.code !== 'BACKEND_LOST' || (status === 0 && report.residentBytes !== null)) return report;
  const message = `its process ended with ${killedBy ?? `exit code ${status}`}: look at the driver, or take another backend`;
  return { ...report, exact: false, message };
}

function heard(report: BackendReport, message: ProbeMessage): BackendReport {
  switch (message.type) {
    case 'found':
      return { ...report, found: true, device: message.device, emulated: message.emulated };
    case 'exact':
      return { ...report, exact: true };
    case 'rate': {
      const { batch, stepsPerSecond } = message;
      return { ...report, rates: [...report.rates, { batch, stepsPerSecond }] };
    }
    case 'done':
      return { ...report, residentBytes: message.residentBytes, code: null, message: 'exact' };
    case 'failed':
      return { ...report, exact: false, code: message.code, message: message.message };
  }
}

/** The heading of the lines that `describeBackend` gives. */
export function backendHeading(): string {
  const batches = PROBE_BATCHES.map((batch) => `batch ${batch.toLocaleString('en')}`.padStart(12));
  return `${'backend'.padEnd(11)}${'exact'.padEnd(6)}${batches.join('')}${'memory'.padStart(10)}  device`;
}

export function describeBackend(report: BackendReport): string {
  const { backend, exact, rates, residentBytes, device, emulated, code, message } = report;
  const start = `${backend.padEnd(11)}${(exact ? 'yes' : report.found ? 'NO' : '–').padEnd(6)}`;
  if (code !== null) return `${start}${code}: ${message}`;
  const columns = PROBE_BATCHES.map((batch) => {
    const rate = rates.find((one) => one.batch === batch);
    return (rate === undefined ? '–' : short(rate.stepsPerSecond)).padStart(12);
  });
  const memory = `${Math.round((residentBytes ?? 0) / 2 ** 20)} MiB`.padStart(10);
  return `${start}${columns.join('')}${memory}  ${device}${emulated ? ' (emulated: not a GPU)' : ''}`;
}

/** A rate in three digits: 938, 12.3 k, 4.56 M. */
function short(rate: number): string {
  const [unit, size] = rate >= 1e6 ? [' M', 1e6] : rate >= 1e3 ? [' k', 1e3] : ['', 1];
  return `${(rate / size).toPrecision(3).replace(/e.*/, '')}${unit}`;
}
