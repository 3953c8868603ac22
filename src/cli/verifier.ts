import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { ROLES, verifierConfigSchema } from '../../verifier/config.ts';
import { DEVNET_ENVIRONMENT, makeDevnet } from '../../verifier/devnet.ts';
import { NetworkDirectory } from '../../verifier/directory.ts';
import { createLog, LOG_FORMATS, LOG_LEVELS, standardErrorLines } from '../../verifier/log.ts';
import { openNetwork } from '../../verifier/open-network.ts';
import { startVerifier } from '../../verifier/service.ts';
import { useNodeCrypto } from '../storage/node-crypto.ts';
import { storagePlaces } from '../storage/open-storage.ts';
import { defineCommand } from './command.ts';
import { algorithmFlag, environmentFlag, keyFileFlag } from './flags.ts';

const { host, port, windows, goal, threads } = verifierConfigSchema.shape;

/** Threads that compute unless told otherwise: a window trains while the next is replayed. */
const defaultThreads = () => Math.min(8, Math.max(2, availableParallelism()));

export const command = defineCommand({
  name: 'verifier',
  summary: 'Runs the verifier of a network, or one of its processes',
  notes: [
    'A directory without a network gets a new development network (insecure-dev): development keys, a local beacon,',
    'CartPole by default. Miners register themselves. Ctrl-C stops it; started again with the same --dir it goes on.',
    '',
    'Several processes on any number of machines, which meet in a database, a bus and a blob store:',
    '  grail verifier --role sequencer --dir DIR --database postgres://… --bus nats://… --blobs s3://…   (a second one waits)',
    '  grail verifier --role gateway|checker|trainer --dir EMPTY --database … --bus … --blobs …',
    'Passwords: PGPASSWORD, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, GRAIL_NATS_CREDS; or whole places as',
    'GRAIL_DATABASE, GRAIL_BLOBS and GRAIL_BUS. A sequencer on a folder that holds a network copies it into an empty',
    'database. Docs: docs/guides/operators.md',
  ].join('\n'),
  positionals: z.strictObject({}),
  flags: z.strictObject({
    dir: z.string().min(1).describe('the network’s folder; of a sequencer, with operator.json'),
    role: z.enum(ROLES).default('all').describe('what this process does'),
    database: z.string().optional().describe('where the ledger is shared (default: a file in --dir)'),
    blobs: z.string().optional().describe('where policies lie (default: a folder in --dir)'),
    bus: z.string().optional().describe('where processes meet (default: all in this one)'),
    host,
    port,
    phaseTimeout: z.number().min(0.1).max(86_400).default(60).describe('seconds a phase waits for a miner'),
    threads: threads.unwrap().optional().describe('threads that compute (default: one a core, 2 to 8)'),
    lease: z
      .number()
      .min(0.5)
      .max(600)
      .default(10)
      .describe('seconds without a sign after which another sequencer takes over'),
    windows: windows.unwrap().unwrap().optional().describe('stop after this many windows'),
    goal: goal
      .unwrap()
      .unwrap()
      .optional()
      .describe('stop when the mean return of 100 episodes reaches this'),
    seed: z
      .int()
      .min(0)
      .optional()
      .describe('new network: make it reproducible, keys and challenges included'),
    environment: environmentFlag.default(DEVNET_ENVIRONMENT),
    algorithm: algorithmFlag.default('ppo'),
    key: keyFileFlag.describe(
      'key file of a ceremony: a new network pins its key; where one of an old network is not in its folder',
    ),
    log: z.enum(LOG_FORMATS).default('text').describe('lines on stderr for people or for machines'),
    logLevel: z.enum(LOG_LEVELS).default('info').describe('least important lines that are written'),
    json: z.boolean().default(false).describe('print events as one JSON object a line on stdout'),
  }),
  async run({ flags, signal, out, err, env }) {
    useNodeCrypto();
    const directory = new NetworkDirectory(flags.dir);
    const write = flags.log === 'json' ? standardErrorLines() : err;
    const log = createLog({ format: flags.log, level: flags.logLevel, write });
    const onProgress = ({ message }: { message: string }) => log.info(message);
    const places = storagePlaces(flags, env);
    await openNetwork({
      directory,
      places,
      role: flags.role,
      log,
      signal,
      make: () =>
        makeDevnet({
          seed: flags.seed ?? null,
          miners: 0,
          environment: flags.environment,
          algorithm: flags.algorithm,
          artefacts: { onProgress, signal },
          ...(flags.key !== undefined && { keyFile: flags.key }),
        }),
    });
    const config = verifierConfigSchema.parse({
      host: flags.host,
      port: flags.port,
      phaseTimeoutMs: Math.round(flags.phaseTimeout * 1000),
      windows: flags.windows ?? null,
      goal: flags.goal ?? null,
      threads: flags.threads ?? defaultThreads(),
      leaseMs: Math.round(flags.lease * 1000),
    });
    const verifier = await startVerifier(directory, config, {
      log,
      places,
      role: flags.role,
      signal,
      artefacts: { onProgress, signal, ...(flags.key !== undefined && { keyFile: flags.key }) },
    });
    if (flags.json) out(JSON.stringify({ event: 'listening', url: verifier.url }));
    const stopped = new Promise<'stopped'>((resolve) => {
      if (signal.aborted) resolve('stopped');
      signal.addEventListener('abort', () => resolve('stopped'), { once: true });
    });
    try {
      const end = await Promise.race([verifier.done.then(() => 'done' as const), stopped]);
      if (end === 'done') {
        log.info('the run is over: serving its results until Ctrl-C');
        if (flags.json) out(JSON.stringify({ event: 'done', ...verifier.sequencer?.status() }));
        await stopped;
        return 0;
      }
      return undefined;
    } finally {
      await verifier.stop();
    }
  },
});
