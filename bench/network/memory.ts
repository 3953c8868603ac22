import { PHASES } from '../../src/protocol/phases.ts';
import { Followers } from './followers.ts';
import { play } from './phase.ts';
import { Population, SMALL } from './population.ts';
import { VerifierProcess } from './verifier-process.ts';

export interface MemoryOptions {
  readonly windows: number;
  readonly miners: number;
  readonly profile: string | null;
  readonly progress: (line: string) => void;
}

/** What the verifier holds after some windows, garbage collected. Bytes. */
export interface MemoryRow {
  readonly window: number;
  readonly entries: number;
  readonly rss: number;
  readonly heapUsed: number;
  readonly arrayBuffers: number;
  /** Seconds a window since the last row. */
  readonly seconds: number;
}

export interface MemoryResult {
  readonly rows: readonly MemoryRow[];
  /** Bytes a window, fitted to the rows after the first two, in which caches fill. */
  readonly rssSlope: number;
  readonly heapSlope: number;
}

const ROWS = 10;
const WARMING_ROWS = 2;
const IN_FLIGHT = 16;
const PHASE_TIMEOUT_SECONDS = 600;

/** Many windows of few miners: what is left behind by each. */
export async function memorySection(options: MemoryOptions): Promise<MemoryResult> {
  const { windows, miners, progress, profile } = options;
  const population = await Population.make(miners, SMALL, progress);
  const verifier = await VerifierProcess.start({
    devnet: population.devnet,
    windows,
    phaseTimeout: PHASE_TIMEOUT_SECONDS,
    profile,
  });
  const followers = await Followers.open(verifier.url, population.miners);
  const rows: MemoryRow[] = [];
  const every = Math.max(1, Math.floor(windows / ROWS));
  let since = performance.now();
  try {
    await population.catchUp(verifier.url);
    const players = { url: verifier.url, population, followers };
    for (let window = 0; window < windows; window++) {
      for (const phase of PHASES) await play(players, phase, window, { inFlight: IN_FLIGHT });
      if ((window + 1) % every !== 0) continue;
      const seconds = (performance.now() - since) / 1000 / every;
      const { rss, heapUsed, arrayBuffers } = await verifier.usage({ collect: true });
      rows.push({ window: window + 1, entries: population.state.size, rss, heapUsed, arrayBuffers, seconds });
      progress(`window ${window + 1} of ${windows}`);
      since = performance.now();
    }
  } finally {
    followers.close();
    await verifier.stop();
  }
  const settled = rows.slice(WARMING_ROWS);
  return {
    rows,
    rssSlope: slope(settled.map(({ window, rss }) => [window, rss])),
    heapSlope: slope(settled.map(({ window, heapUsed }) => [window, heapUsed])),
  };
}

/** Of the line that fits the points best, by least squares. */
function slope(points: readonly (readonly [number, number])[]): number {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanX, meanY] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))];
  const covariance = mean(points.map(([x, y]) => (x - meanX) * (y - meanY)));
  return covariance / mean(points.map(([x]) => (x - meanX) ** 2));
}

export function printMemory({ rows, rssSlope, heapSlope }: MemoryResult): void {
  const megabytes = (bytes: number) => Number((bytes / 1_048_576).toFixed(1));
  console.table(
    rows.map((row) => ({
      windows: row.window,
      entries: row.entries,
      'RSS MB': megabytes(row.rss),
      'heap MB': megabytes(row.heapUsed),
      'buffers MB': megabytes(row.arrayBuffers),
      's a window': Number(row.seconds.toFixed(2)),
    })),
  );
  const kilobytes = (bytes: number) => (bytes / 1024).toFixed(1);
  console.log(`a window: RSS ${kilobytes(rssSlope)} kB, heap ${kilobytes(heapSlope)} kB`);
}
