import { z } from 'zod';
import { verifierConfigSchema } from '../../verifier/config.ts';
import { DEVNET_ENVIRONMENT, makeDevnet } from '../../verifier/devnet.ts';
import { NetworkDirectory } from '../../verifier/directory.ts';
import { lineLog } from '../../verifier/log.ts';
import { startVerifier } from '../../verifier/service.ts';
import { useNodeSha256 } from '../storage/node-hash.ts';
import { defineCommand } from './command.ts';
import { algorithmFlag, environmentFlag, keyFileFlag } from './flags.ts';

const { host, port, windows, goal } = verifierConfigSchema.shape;

export const command = defineCommand({
  name: 'verifier',
  summary: 'Runs the verifier of a network',
  notes: [
    'A directory without a network gets a new development network (insecure-dev): development keys, a local beacon,',
    'CartPole by default. Miners register themselves. Ctrl-C stops it; started again with the same --dir it goes on.',
  ].join('\n'),
  positionals: z.strictObject({}),
  flags: z.strictObject({
    dir: z.string().min(1).describe('the network’s folder'),
    host,
    port,
    phaseTimeout: z.number().min(0.1).max(86_400).default(60).describe('seconds a phase waits for a miner'),
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
    json: z.boolean().default(false).describe('print events as one JSON object a line on stdout'),
  }),
  async run({ flags, signal, out, err }) {
    useNodeSha256();
    const directory = new NetworkDirectory(flags.dir);
    const log = lineLog((line) => err(line.trimEnd()));
    const onProgress = ({ message }: { message: string }) => log.info(message);
    if (!directory.exists) {
      const devnet = await makeDevnet({
        seed: flags.seed ?? null,
        miners: 0,
        environment: flags.environment,
        algorithm: flags.algorithm,
        artefacts: { onProgress, signal },
        ...(flags.key !== undefined && { keyFile: flags.key }),
      });
      await directory.create(devnet);
      log.info('made a new development network', { directory: directory.path });
    }
    const config = verifierConfigSchema.parse({
      host: flags.host,
      port: flags.port,
      phaseTimeoutMs: Math.round(flags.phaseTimeout * 1000),
      windows: flags.windows ?? null,
      goal: flags.goal ?? null,
    });
    const verifier = await startVerifier(directory, config, {
      log,
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
        if (flags.json) out(JSON.stringify({ event: 'done', ...verifier.sequencer.status() }));
        await stopped;
        return 0;
      }
      return undefined;
    } finally {
      await verifier.stop();
    }
  },
});
