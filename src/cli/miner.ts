import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { z } from 'zod';
import { CHEAT_KINDS, cheat } from '../../rollouts/cheats.ts';
import { VerifierClient } from '../../rollouts/client.ts';
import { type RolloutEngine, startRolloutEngine } from '../../rollouts/engine/index.ts';
import { describeEvent, type MinerEvent } from '../../rollouts/events.ts';
import { createMiner } from '../../rollouts/miner.ts';
import { initialPolicy } from '../../rollouts/policies.ts';
import { type BackendChoice, rankBackends } from '../../rollouts/rank.ts';
import { BACKEND_NAMES } from '../backends/index.ts';
import { type Genesis, hash32Schema } from '../params/genesis.ts';
import { loadNetworkProver } from '../proofs/network-key.ts';
import { createProofPool, type ProofPool } from '../proofs/pool.ts';
import { toHex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { lockFile, type ProcessLock } from '../storage/lock.ts';
import { useNodeSha256 } from '../storage/node-hash.ts';
import { defineCommand } from './command.ts';
import { keyFileFlag, keystoreFlag, passwordFileFlag, provingKeyFlag } from './flags.ts';
import { loadIdentity } from './keystore.ts';
import { terminalPrompt } from './password.ts';

/** Slots enrolled unless --slots says otherwise, as far as the network allows. */
const DEFAULT_SLOTS = 8;
/** More threads than the largest machines have cores. */
const MAX_THREADS = 1024;

export const command = defineCommand({
  name: 'miner',
  summary: 'Mines for a verifier',
  notes: [
    'grail keys new --keystore miner.json',
    'grail miner --verifier http://127.0.0.1:7420 --keystore miner.json',
    '',
    'Registers the key if need be, then takes part in every window. It keeps no state: started again, it goes on with the',
    'windows it is enrolled in. The first Ctrl-C lets those windows end; the second stops at once, which costs the bond.',
    'Docs: docs/guides/miners.md',
  ].join('\n'),
  positionals: z.strictObject({}),
  flags: z.strictObject({
    verifier: z.string().min(1).describe('the verifier’s address, for example http://127.0.0.1:7420'),
    keystore: keystoreFlag,
    passwordFile: passwordFileFlag,
    slots: z
      .int()
      .min(1)
      .max(65_536)
      .optional()
      .describe(`rollouts to enrol a window (default: ${DEFAULT_SLOTS}, or what the network allows)`),
    backend: z
      .enum(['auto', ...BACKEND_NAMES])
      .default('auto')
      .describe('where the policy runs; auto takes the fastest exact one'),
    threads: z
      .int()
      .min(1)
      .max(MAX_THREADS)
      .optional()
      .describe('threads that play rollouts (default: as many as are worth it, at most one a core)'),
    windows: z.int().min(1).max(1_000_000).optional().describe('stop after taking part in this many windows'),
    network: z
      .string()
      .min(1)
      .optional()
      .describe('genesis hash of the network that is meant; any other is refused'),
    key: keyFileFlag,
    provingKey: provingKeyFlag,
    cheat: z
      .enum(CHEAT_KINDS)
      .optional()
      .describe('cheat in this way and see it rejected (insecure-dev networks only)'),
    json: z.boolean().default(false).describe('print events as one JSON object a line on stdout'),
  }),
  async run({ flags, signal, out, err, env }) {
    useNodeSha256();
    const file = resolve(flags.keystore);
    const prompt = terminalPrompt();
    const identity = await loadIdentity(file, {
      passwordFile: flags.passwordFile,
      env,
      ...(prompt && { prompt }),
    });
    const lock = lockKeystore(file);
    let pool: ProofPool | null = null;
    let engine: RolloutEngine | null = null;
    try {
      const log = (event: MinerEvent) => {
        if (flags.json) out(JSON.stringify(event));
        err(describeEvent(event));
      };
      const network = flags.network === undefined ? undefined : parseNetwork(flags.network);
      const client = await VerifierClient.connect({
        url: flags.verifier,
        signal,
        ...(network && { expectedGenesis: network }),
      });
      const { genesis } = client;
      const slots = flags.slots ?? defaultSlots(genesis);
      checkChoices(genesis, slots, flags.cheat);
      err(
        `miner ${identity.address} on ${genesis.name} (${toHex(client.genesisHash)}) at ${client.url.href}`,
      );
      if (genesis.insecureDev)
        err('insecure-dev network: its keys and beacon are for development, credits are worth nothing');
      engine = await openEngine(genesis, { ...flags, slots }, log);
      err(
        `backend ${engine.backend} (${engine.device}): exact, ${engine.threads} ${engine.threads === 1 ? 'thread' : 'threads'}`,
      );
      pool = await openPool(genesis, flags, signal, err);
      if (signal.aborted) throw new GrailError('STOPPED', 'stopped before the first window');
      const miner = createMiner({
        client,
        identity,
        slots,
        engine,
        prover: pool,
        ...(flags.cheat !== undefined && { conduct: cheat(flags.cheat) }),
        ...(flags.windows !== undefined && { windows: flags.windows }),
        log,
        // The first Ctrl-C lets windows end; the second ends the process.
        signal: new AbortController().signal,
      });
      const stop = () => miner.stop();
      signal.addEventListener('abort', stop, { once: true });
      try {
        await miner.run();
      } finally {
        signal.removeEventListener('abort', stop);
      }
      return 0;
    } finally {
      await Promise.all([pool?.close(), engine?.close()]);
      lock.release();
    }
  },
});

/** @throws GrailError ALREADY_RUNNING while another process mines with it */
function lockKeystore(file: string): ProcessLock {
  try {
    return lockFile(`${file}.lock`, `the keystore ${file}`);
  } catch (error) {
    if (error instanceof GrailError) throw error;
    const message = `${file}.lock cannot be made beside the keystore: its folder must be writable`;
    throw new GrailError('KEYSTORE_INVALID', message, { file }, { cause: error });
  }
}

function parseNetwork(text: string) {
  const parsed = hash32Schema.safeParse(text.toLowerCase());
  if (parsed.success) return parsed.data;
  throw new GrailError('USAGE', '--network takes a genesis hash: 0x and 64 hex digits', {
    flag: '--network',
  });
}

function defaultSlots({ groupSize, maxSlots }: Genesis): number {
  return Math.min(maxSlots, Math.ceil(DEFAULT_SLOTS / groupSize) * groupSize);
}

/** @throws GrailError SLOTS_INVALID, or USAGE for a cheat on a network that is not for development */
function checkChoices(genesis: Genesis, slots: number, kind: string | undefined): void {
  const { groupSize, maxSlots } = genesis;
  if (slots % groupSize !== 0 || slots > maxSlots) {
    throw new GrailError('SLOTS_INVALID', `--slots takes a multiple of ${groupSize}, at most ${maxSlots}`, {
      expected: `a multiple of ${groupSize}, at most ${maxSlots}`,
      got: slots,
    });
  }
  if (kind !== undefined && !genesis.insecureDev) {
    throw new GrailError('USAGE', '--cheat is for insecure-dev networks: here it would cost your bond', {
      flag: '--cheat',
    });
  }
}

/**
 * Threads with the backend that was asked for, or the fastest exact one.
 * @throws GrailError BACKEND_UNAVAILABLE or BACKEND_NOT_EXACT
 */
async function openEngine(
  genesis: Genesis,
  flags: { backend: BackendChoice; slots: number; threads?: number | undefined },
  log: (event: MinerEvent) => void,
): Promise<RolloutEngine> {
  const { slots, threads } = flags;
  const candidates = await rankBackends(flags.backend, {
    policy: initialPolicy(genesis),
    slots,
    stepsPerSlot: genesis.stepsPerSlot,
    threads: availableParallelism(),
  });
  return startRolloutEngine({
    candidates: candidates.map((found) => ({
      name: found.name,
      threads: Math.min(threads ?? found.threads, slots),
    })),
    architecture: genesis.architecture,
    onFallback: ({ from, to, error: { code, message } }) =>
      log({ event: 'fallback', from, to, code, message }),
  });
}

/**
 * One proving process with the network's keys.
 * @throws GrailError KEY_MISMATCH or KEY_INSECURE when they are not those of genesis, NOT_FOUND when the proving key is not here
 */
async function openPool(
  genesis: Genesis,
  flags: { key?: string | undefined; provingKey?: string | undefined },
  signal: AbortSignal,
  err: (line: string) => void,
): Promise<ProofPool> {
  let last = '';
  const artefacts = await loadNetworkProver(genesis, {
    ...(flags.key !== undefined && { keyFile: flags.key }),
    ...(flags.provingKey !== undefined && { provingKey: flags.provingKey }),
    signal,
    onProgress: ({ message }) => {
      if (message !== last) err(message);
      last = message;
    },
  });
  const pool = createProofPool({ size: 1, artefacts });
  pool.warm();
  return pool;
}
