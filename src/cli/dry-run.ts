import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cheat } from '../../rollouts/cheats.ts';
import { VerifierClient } from '../../rollouts/client.ts';
import { describeEvent, type MinerEvent } from '../../rollouts/events.ts';
import { createMiner, type MinerOptions } from '../../rollouts/miner.ts';
import { verifierConfigSchema } from '../../verifier/config.ts';
import type { Devnet } from '../../verifier/devnet.ts';
import { NetworkDirectory } from '../../verifier/directory.ts';
import { createLog } from '../../verifier/log.ts';
import { startVerifier, type Verifier } from '../../verifier/service.ts';
import { toHex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { Identity } from '../protocol/identity.ts';
import type { CommandIo } from './command.ts';
import { developmentGenesis, privateCopy } from './dry-run-network.ts';
import { DryRunReport, describeDryRun } from './dry-run-report.ts';
import type { MinerFlags } from './miner.ts';
import { chosenSlots, openMachine } from './miner-parts.ts';
import { printable } from './text.ts';

/** One window is played while another is proved: what mining is like. */
const WINDOWS = 2;
/** Windows in which a cheat must be caught: some begin later than others. */
const CHEAT_WINDOWS = 8;
/** An honest machine that is too slow shall be measured, not cut off: so many times the limit, and at least so long. */
const PATIENCE = 10;
const LEAST_PATIENCE_MS = 600_000;

/**
 * `grail miner --dry-run`: mines on a private network with a verifier in this process, and says what would come of it.
 * @param identity whose rollouts they are; a new key when null
 * @param client the network that is copied, which is only read; a new development network when null
 * @returns the exit code: 0 when everything was accepted in time
 * @throws GrailError what a miner and a verifier start with; STOPPED
 */
export async function dryRun(
  flags: MinerFlags,
  identity: Identity | null,
  client: VerifierClient | null,
  io: CommandIo,
): Promise<number> {
  const { signal, out, err } = io;
  const say = (line: string) => err(printable(line));
  const artefacts = { signal, onProgress: ({ message }: { message: string }) => say(message) };
  const original = client?.genesis ?? (await developmentGenesis(flags.environment, artefacts));
  const othersSlots = client === null ? 0 : await slotsOfOthers(client, signal);
  const slots = chosenSlots(original, flags.slots);
  const limitMs = flags.phaseTimeout === undefined ? defaultLimitMs() : Math.round(1000 * flags.phaseTimeout);
  // A cheat has an honest miner beside it that keeps windows going: some cheats do not even enrol.
  const miners = [identity ?? newIdentity(), ...(flags.cheat === undefined ? [] : [newIdentity()])];
  const network = privateCopy(
    original,
    miners.map(({ address }) => address),
  );
  say(
    client === null
      ? `dry run on a private network for ${original.environment}`
      : `dry run on a private copy of ${original.name} (${toHex(client.genesisHash)}): nothing is sent to it`,
  );
  const report = new DryRunReport(performance.now.bind(performance));
  const log = (event: MinerEvent) => {
    if (flags.json) out(JSON.stringify(event));
    say(describeEvent(event));
    report.event(event);
  };
  const machine = await openMachine(network.genesis, slots, flags, { log, say, signal });
  try {
    const { engine, pool: prover } = machine;
    await withVerifier(network, verifierConfig(flags, limitMs), artefacts, say, (verifier) =>
      mineThere(
        verifier,
        miners,
        { slots, engine, prover, log, signal, windows: windowsOf(flags) },
        flags,
        report,
      ),
    );
  } finally {
    await machine.close();
  }
  const result = report.result(original, { slots, limitSeconds: limitMs / 1000, othersSlots });
  if (flags.json) out(JSON.stringify({ event: 'dry-run', ...result }));
  for (const line of describeDryRun(result)) (flags.json ? say : out)(printable(line));
  return result.accepted && result.inTime ? 0 : 1;
}

const newIdentity = () => new Identity(new Uint8Array(randomBytes(32)));

const windowsOf = ({ windows, cheat: kind }: MinerFlags) =>
  windows ?? (kind === undefined ? WINDOWS : CHEAT_WINDOWS);

/** How long a verifier's phases wait unless its operator says otherwise. */
const defaultLimitMs = () => verifierConfigSchema.parse({}).phaseTimeoutMs;

function verifierConfig(flags: MinerFlags, limitMs: number) {
  const patienceMs = Math.min(86_400_000, Math.max(PATIENCE * limitMs, LEAST_PATIENCE_MS));
  return verifierConfigSchema.parse({
    port: 0,
    windows: windowsOf(flags),
    evaluationEpisodes: 0,
    phaseTimeoutMs: flags.cheat === undefined ? patienceMs : limitMs,
  });
}

/** Slots that a window of the network has now; the most of those under way. */
async function slotsOfOthers(client: VerifierClient, signal: AbortSignal): Promise<number> {
  const { windows } = await client.status({ signal });
  return Math.max(0, ...windows.map(({ slots }) => slots));
}

/** Runs something beside the verifier of a network in a temporary folder, of which nothing is left. */
async function withVerifier(
  network: Devnet,
  config: ReturnType<typeof verifierConfig>,
  artefacts: NonNullable<Parameters<typeof startVerifier>[2]['artefacts']>,
  say: (line: string) => void,
  task: (verifier: Verifier) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'grail-dry-run-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  // Also when a second Ctrl-C ends the process.
  process.once('exit', remove);
  try {
    const directory = new NetworkDirectory(folder);
    await directory.create(network);
    const log = createLog({ format: 'text', level: 'error', write: say });
    const verifier = await startVerifier(directory, config, { log, artefacts });
    try {
      await task(verifier);
    } finally {
      await verifier.stop();
    }
  } finally {
    process.off('exit', remove);
    remove();
  }
}

type Mining = Pick<MinerOptions, 'slots' | 'engine' | 'prover' | 'log' | 'signal' | 'windows'>;

/** Mines until the windows are over or one of them is lost. Only the first miner cheats, and is heard. */
async function mineThere(
  verifier: Verifier,
  identities: readonly Identity[],
  options: Mining,
  { cheat: kind }: MinerFlags,
  report: DryRunReport,
): Promise<void> {
  const ending = new AbortController();
  const signal = AbortSignal.any([options.signal, ending.signal]);
  const client = await VerifierClient.connect({ url: verifier.url, signal });
  const log = (event: MinerEvent) => {
    options.log(event);
    if (report.lost) ending.abort();
  };
  const common = { ...options, client, signal };
  const miners = identities.map((identity, i) =>
    i === 0
      ? createMiner({ ...common, identity, log, ...(kind !== undefined && { conduct: cheat(kind) }) })
      : createMiner({ ...common, identity, slots: client.genesis.groupSize, log: () => {} }),
  );
  const runs = miners.map((miner) => miner.run());
  const failed = verifier.done.then(() => new Promise<never>(() => {}));
  try {
    await Promise.race([runs[0], failed]);
  } catch (error) {
    const over = error instanceof GrailError && error.code === 'STOPPED' && !options.signal.aborted;
    if (!over) throw error;
  } finally {
    ending.abort();
    await Promise.allSettled(runs);
  }
}
