import { statSync } from 'node:fs';
import { toHex } from '../../src/protocol/bytes.ts';
import { recover } from '../../src/protocol/identity.ts';
import { attestationDigest, type Message, messageDigest } from '../../src/protocol/messages.ts';
import type { Phase } from '../../src/protocol/phases.ts';
import { acknowledgementSchema } from '../../src/protocol/wire.ts';
import { Followers } from './followers.ts';
import { deliver, messagesOf } from './phase.ts';
import { inTurns, Population, SMALL } from './population.ts';
import { VerifierProcess } from './verifier-process.ts';
import { fire, quantile, type Shape, type Shot, type Volley } from './volley.ts';

export interface GrowthOptions {
  readonly miners: readonly number[];
  /** Networks of more miners are measured up to their openings: a proof takes longer to make than all else. */
  readonly proven: number;
  /** Requests under way at any time where a phase is sent as fast as it goes. */
  readonly inFlight: number;
  /** Commitments a second where they come evenly. */
  readonly perSecond: number;
  /** Event sockets at most. */
  readonly sockets: number;
  readonly profile: string | null;
  readonly progress: (line: string) => void;
}

/** How one phase went. */
export interface PhaseFigures {
  readonly phase: string;
  readonly acknowledgedPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** From the last acknowledgement until miners hear that the phase is closed; null for what closes nothing. */
  readonly closedMs: number | null;
  /** Processor time of the verifier a message, the closing of the phase included, ms. */
  readonly cpuMs: number;
  /** Bytes a message on HTTP connections, both ways. */
  readonly wireBytes: number;
  /** Requests that were turned away and sent again. */
  readonly retries: number;
}

export interface GrowthRow {
  readonly miners: number;
  readonly sockets: number;
  readonly phases: readonly PhaseFigures[];
  /** Bytes that each follower received of the window. */
  readonly followedBytes: number;
  /** The ledger file, bytes a miner. */
  readonly ledgerBytes: number;
  /** Proofs checked a second, of the time from the last proof to the verdict; null without proofs. */
  readonly checksPerSecond: number | null;
  readonly rssBefore: number;
  readonly peakRss: number;
}

/** A day: making what is sent is no part of what is measured, so no phase may end before it is made. */
const PHASE_TIMEOUT_SECONDS = 86_400;

/** One window of each number of miners, as fast as it goes, and the next one's commitments at an even pace. */
export async function growthSection(options: GrowthOptions): Promise<GrowthRow[]> {
  const rows: GrowthRow[] = [];
  for (const miners of options.miners) rows.push(await measure(miners, options));
  return rows;
}

async function measure(miners: number, options: GrowthOptions): Promise<GrowthRow> {
  const { progress, profile } = options;
  const population = await Population.make(miners, SMALL, progress);
  const verifier = await VerifierProcess.start({
    devnet: population.devnet,
    windows: 2,
    phaseTimeout: PHASE_TIMEOUT_SECONDS,
    profile,
  });
  const { rss: rssBefore } = await verifier.usage();
  const followers = await Followers.open(verifier.url, population.miners.slice(0, options.sockets));
  try {
    const players = { url: verifier.url, population, followers };
    await population.catchUp(verifier.url);
    const saturated: Shape = { inFlight: options.inFlight };
    const phase = async (name: Phase, window: number, shape: Shape) => {
      progress(`${miners} miners, window ${window}: ${name}`);
      const messages = await messagesOf(population, name, window);
      const before = await verifier.usage();
      const { volley, closedMs } = await deliver(players, name, window, messages, shape);
      const after = await verifier.usage();
      await inTurns(volley.answers, (answer, i) => checkAcknowledgement(population, messages[i]!, answer));
      await population.catchUp(verifier.url);
      return figures(name, volley, closedMs, after.cpuSeconds - before.cpuSeconds);
    };
    const phases: PhaseFigures[] = [];
    for (const name of ['enrol', 'commit', 'opening'] as const) phases.push(await phase(name, 0, saturated));
    let checksPerSecond: number | null = null;
    if (miners <= options.proven) {
      const proven = await phase('prove', 0, saturated);
      phases.push(proven, await receipts(verifier, population, saturated));
      checksPerSecond = (1000 * miners) / proven.closedMs!;
      const { credited, enrolled } = population.credited(0);
      if (credited !== enrolled) throw new Error(`${credited} of ${enrolled} miners were credited`);
    }
    const followedBytes = followers.bytes / followers.count;
    const ledgerBytes = statSync(verifier.ledgerPath).size / miners;
    await phase('enrol', 1, saturated);
    const evenly = await phase('commit', 1, { perSecond: options.perSecond });
    phases.push({ ...evenly, phase: `commit, ${options.perSecond} a second` });
    const { peakRss } = await verifier.usage();
    return {
      miners,
      sockets: followers.count,
      phases,
      followedBytes,
      ledgerBytes,
      checksPerSecond,
      rssBefore,
      peakRss,
    };
  } finally {
    followers.close();
    await verifier.stop();
  }
}

/** Everybody fetches the receipt of window 0. */
async function receipts(
  verifier: VerifierProcess,
  population: Population,
  shape: Shape,
): Promise<PhaseFigures> {
  const shots = population.miners.map((miner): Shot => ({ path: `/v1/receipts/0/${miner}` }));
  const before = await verifier.usage();
  const volley = await fire(verifier.url, shots, shape);
  const after = await verifier.usage();
  return figures('receipt', volley, null, after.cpuSeconds - before.cpuSeconds);
}

function figures(phase: string, volley: Volley, closedMs: number | null, cpuSeconds: number): PhaseFigures {
  const { latenciesMs, seconds, bytes, retries } = volley;
  const count = latenciesMs.length;
  return {
    phase,
    acknowledgedPerSecond: count / seconds,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
    closedMs,
    cpuMs: (1000 * cpuSeconds) / count,
    wireBytes: bytes / count,
    retries,
  };
}

/** @throws Error unless the answer is the verifier's signed promise of this message */
function checkAcknowledgement({ state }: Population, message: Message, answer: string): void {
  const { verifier, signature, ...promise } = acknowledgementSchema.parse(JSON.parse(answer));
  const known = state.genesis.verifiers.some(({ address }) => address === verifier);
  const signer = recover(attestationDigest(state.domain, 'acknowledgement', promise), signature);
  if (!known || signer !== verifier || promise.messageHash !== toHex(messageDigest(state.domain, message))) {
    throw new Error(`the verifier did not acknowledge ${message.type} of ${message.miner}: ${answer}`);
  }
}

export function printGrowth(rows: readonly GrowthRow[]): void {
  const round = (value: number, digits = 0) => Number(value.toFixed(digits));
  const megabytes = (bytes: number) => round(bytes / 1_048_576);
  for (const { miners, sockets, phases } of rows) {
    console.log(`\n${miners} miners, ${sockets} of them on event sockets`);
    console.table(
      phases.map((row) => ({
        phase: row.phase,
        'a second': round(row.acknowledgedPerSecond),
        'p50 ms': round(row.p50Ms, 1),
        'p99 ms': round(row.p99Ms, 1),
        'closed after ms': row.closedMs === null ? '' : round(row.closedMs),
        'CPU ms each': round(row.cpuMs, 2),
        'HTTP bytes each': round(row.wireBytes),
        'sent again': row.retries,
      })),
    );
  }
  console.log('\na window, by miners');
  console.table(
    rows.map((row) => ({
      miners: row.miners,
      'commits/s': round(row.phases[1]!.acknowledgedPerSecond),
      'p99 ms, evenly': round(row.phases.at(-1)!.p99Ms, 1),
      'checks/s': row.checksPerSecond === null ? '' : round(row.checksPerSecond),
      'CPU ms a miner': round(windowCpuMs(row), 2),
      'RSS MB, before': megabytes(row.rssBefore),
      'RSS MB, most': megabytes(row.peakRss),
      'ledger bytes a miner': round(row.ledgerBytes),
      'socket bytes a miner': round(row.followedBytes),
    })),
  );
}

/** Processor time of window 0 a miner. */
function windowCpuMs({ phases }: GrowthRow): number {
  return phases.slice(0, -1).reduce((sum, { cpuMs }) => sum + cpuMs, 0);
}
