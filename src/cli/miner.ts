import { resolve } from 'node:path';
import { z } from 'zod';
import { CHEAT_KINDS, cheat } from '../../rollouts/cheats.ts';
import { VerifierClient } from '../../rollouts/client.ts';
import { createMiner } from '../../rollouts/miner.ts';
import { BACKEND_NAMES } from '../backends/index.ts';
import { hash32Schema } from '../params/genesis.ts';
import { type Hex, toHex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import type { Identity } from '../protocol/identity.ts';
import { useNodeCrypto } from '../storage/node-crypto.ts';
import { type CommandIo, defineCommand } from './command.ts';
import { environmentFlag, keyFileFlag, keystoreFlag, passwordFileFlag, provingKeyFlag } from './flags.ts';
import { loadIdentity } from './keystore.ts';
import { lockKey } from './miner-lock.ts';
import { chosenSlots, DEFAULT_SLOTS, openMachine } from './miner-parts.ts';
import { ReceiptFolder } from './miner-receipts.ts';
import { MinerScreen } from './miner-screen.ts';
import { terminalPrompt } from './password.ts';

/** More threads than the largest machines have cores. */
const MAX_THREADS = 1024;
/** Addresses of one verifier. */
const MAX_VERIFIERS = 16;

const flagsSchema = z.strictObject({
  verifier: z
    .string()
    .min(1)
    .max(4096)
    .optional()
    .describe('the verifier’s address, for example http://127.0.0.1:7420; several with commas between them'),
  keystore: keystoreFlag.optional(),
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
  receipts: z.string().min(1).optional().describe('folder in which every receipt is kept as a file'),
  dryRun: z
    .boolean()
    .default(false)
    .describe('try this machine on a private copy of the network instead of mining'),
  environment: environmentFlag
    .optional()
    .describe('what a dry run without a verifier trains; `grail env list` names them'),
  phaseTimeout: z
    .number()
    .min(0.1)
    .max(86_400)
    .optional()
    .describe('seconds that the network’s phases wait for a miner, for the report of a dry run (default 60)'),
  cheat: z
    .enum(CHEAT_KINDS)
    .optional()
    .describe('cheat in this way and see it rejected (insecure-dev networks and dry runs only)'),
  json: z.boolean().default(false).describe('print events as one JSON object a line on stdout'),
});
export type MinerFlags = z.output<typeof flagsSchema>;

export const command = defineCommand({
  name: 'miner',
  summary: 'Mines for a verifier',
  notes: [
    'grail keys new --keystore miner.json',
    'grail miner --verifier http://127.0.0.1:7420 --keystore miner.json --dry-run',
    'grail miner --verifier http://127.0.0.1:7420 --keystore miner.json',
    '',
    'Registers the key if need be, then takes part in every window. It keeps no state: started again, it goes on with the',
    'windows it is enrolled in. The first Ctrl-C lets those windows end; the second stops at once, which costs the bond.',
    'A dry run needs neither --keystore nor --verifier, and sends nothing to the verifier. Its exit code is 0 when',
    'everything would be accepted in time, else 1.',
    'Docs: docs/guides/miners.md',
  ].join('\n'),
  positionals: z.strictObject({}),
  flags: flagsSchema,
  async run({ flags, ...io }) {
    useNodeCrypto();
    checkFlags(flags);
    if (flags.dryRun) {
      const identity = flags.keystore === undefined ? null : await openKeystore(flags.keystore, flags, io);
      const client = flags.verifier === undefined ? null : await connect(flags, io.signal);
      // A verifier is much to load for those who only mine.
      const { dryRun } = await import('./dry-run.ts');
      return dryRun(flags, identity, client, io);
    }
    return mine(flags, io);
  },
});

/** @throws GrailError USAGE for flags that do not go together */
function checkFlags(flags: MinerFlags): void {
  const wrong = (flag: string, message: string) => new GrailError('USAGE', message, { flag });
  if (!flags.dryRun) {
    if (flags.verifier === undefined) throw wrong('--verifier', '--verifier is missing (or --dry-run)');
    if (flags.keystore === undefined) throw wrong('--keystore', '--keystore is missing (or --dry-run)');
    if (flags.environment !== undefined)
      throw wrong('--environment', '--environment is for a --dry-run: a network has its own');
    if (flags.phaseTimeout !== undefined)
      throw wrong('--phase-timeout', '--phase-timeout is for a --dry-run: a verifier has its own');
    return;
  }
  if (flags.receipts !== undefined)
    throw wrong('--receipts', '--receipts keeps nothing of a --dry-run: leave one of them out');
  if (flags.environment !== undefined && flags.verifier !== undefined)
    throw wrong('--environment', '--verifier and --environment both say what a --dry-run trains: give one');
}

async function mine(flags: MinerFlags, io: CommandIo): Promise<number> {
  const { signal, env } = io;
  const file = resolve(flags.keystore!);
  const identity = await openKeystore(file, flags, io);
  const lock = lockKey(file, identity.address, env);
  const screen = new MinerScreen(io, flags.json);
  try {
    const client = await connect(flags, signal);
    const { genesis } = client;
    const slots = chosenSlots(genesis, flags.slots);
    if (flags.cheat !== undefined && !genesis.insecureDev) {
      throw new GrailError('USAGE', '--cheat is for insecure-dev networks: here it would cost your bond', {
        flag: '--cheat',
      });
    }
    const receipts = flags.receipts === undefined ? null : new ReceiptFolder(flags.receipts, client);
    screen.say(
      `miner ${identity.address} on ${genesis.name} (${toHex(client.genesisHash)}) at ${client.url.href}`,
    );
    if (genesis.insecureDev)
      screen.say('insecure-dev network: its keys and beacon are for development, credits are worth nothing');
    const machine = await openMachine(genesis, slots, flags, { log: screen.event, say: screen.say, signal });
    try {
      if (signal.aborted) throw new GrailError('STOPPED', 'stopped before the first window');
      const miner = createMiner({
        client,
        identity,
        slots,
        engine: machine.engine,
        prover: machine.pool,
        ...(flags.cheat !== undefined && { conduct: cheat(flags.cheat) }),
        ...(flags.windows !== undefined && { windows: flags.windows }),
        log: screen.event,
        onProgress: screen.progress,
        onReceipt: (receipt) => receipts?.keep(receipt),
        // The first Ctrl-C lets windows end; the second ends the process.
        signal: new AbortController().signal,
      });
      screen.watch(
        `${identity.address} on ${genesis.name}: ${slots} ${slots === 1 ? 'slot' : 'slots'}, ${machine.engine.backend}`,
        miner,
      );
      const stop = () => miner.stop();
      signal.addEventListener('abort', stop, { once: true });
      try {
        await miner.run();
      } finally {
        signal.removeEventListener('abort', stop);
        screen.close();
      }
      return 0;
    } finally {
      await machine.close();
    }
  } finally {
    lock.release();
  }
}

async function openKeystore(
  file: string,
  { passwordFile }: Pick<MinerFlags, 'passwordFile'>,
  { env }: CommandIo,
): Promise<Identity> {
  const prompt = terminalPrompt();
  return loadIdentity(resolve(file), { passwordFile, env, ...(prompt && { prompt }) });
}

/** @throws GrailError USAGE, UNREACHABLE, STOPPED, GENESIS_INVALID, GENESIS_MISMATCH */
async function connect(flags: MinerFlags, signal: AbortSignal): Promise<VerifierClient> {
  const url = flags.verifier!.split(',').map((text) => text.trim());
  if (url.length > MAX_VERIFIERS) {
    throw new GrailError('USAGE', `--verifier takes at most ${MAX_VERIFIERS} addresses`, {
      flag: '--verifier',
    });
  }
  const expectedGenesis = flags.network === undefined ? undefined : parseNetwork(flags.network);
  return VerifierClient.connect({ url, signal, ...(expectedGenesis && { expectedGenesis }) });
}

function parseNetwork(text: string): Hex {
  const parsed = hash32Schema.safeParse(text.toLowerCase());
  if (parsed.success) return parsed.data;
  throw new GrailError('USAGE', '--network takes a genesis hash: 0x and 64 hex digits', {
    flag: '--network',
  });
}
