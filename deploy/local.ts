import { resolve } from 'node:path';
import { z } from 'zod';
import { parseArguments } from '../src/cli/arguments.ts';
import { type CommandContext, type CommandIo, defineCommand } from '../src/cli/command.ts';
import { environmentFlag } from '../src/cli/flags.ts';
import { commandHelp } from '../src/cli/help.ts';
import { runProcess } from '../src/cli/process.ts';
import { codedError } from '../src/protocol/errors.ts';
import { DEVNET_ENVIRONMENT } from '../verifier/devnet.ts';
import { Cluster, type Member } from './cluster.ts';
import { type Kept, keepUp } from './keep-up.ts';
import { type Servers, startServers } from './servers/index.ts';
import { installMissing, natsServer, postgres } from './servers/programs.ts';

/** The network's database, and the prefix of its blobs. */
const NETWORK = 'grail';

const count = (most: number, fallback: number) => z.int().min(1).max(most).default(fallback);

const FLAGS = z.strictObject({
  dir: z.string().min(1).default('.grail/cluster').describe('where everything is kept'),
  sequencers: count(8, 2).describe('how many; one writes, the others wait for its lease'),
  gateways: count(16, 2).describe('how many serve miners'),
  checkers: count(16, 1).describe('how many replay and check'),
  trainers: count(8, 1).describe('how many train'),
  blobs: z.enum(['s3', 'folder']).default('s3').describe('where policies lie'),
  port: z.int().min(1).max(65_000).default(7420).describe('port of the first gateway; the others follow it'),
  operatorPort: z
    .int()
    .min(1)
    .max(65_000)
    .default(7500)
    .describe('port of /metrics of the first other process; the others follow it'),
  phaseTimeout: z.number().min(0.1).max(86_400).default(60).describe('seconds a phase waits for a miner'),
  lease: z
    .number()
    .min(0.5)
    .max(600)
    .default(10)
    .describe('seconds after which another sequencer takes over'),
  seed: z.int().min(0).optional().describe('new network: make it reproducible'),
  environment: environmentFlag.default(DEVNET_ENVIRONMENT),
  json: z.boolean().default(false).describe('print events as one JSON object a line on stdout'),
});

const command = defineCommand({
  name: 'cluster',
  summary: 'Runs a verifier of several processes on this machine, with the servers that they meet in',
  notes: [
    'Starts PostgreSQL, NATS with JetStream and a server that speaks S3 for itself alone, on free ports of 127.0.0.1,',
    'then the processes. What ends is started again. Ctrl-C stops all in order; the same --dir goes on.',
    'It is for one machine and for trying: docs/guides/operators.md says how to run it on several.',
  ].join('\n'),
  positionals: z.strictObject({}),
  flags: FLAGS,
  run: runCluster,
});

async function runCluster({
  flags,
  ...io
}: CommandContext<object, z.output<typeof FLAGS>>): Promise<number | undefined> {
  const { signal, out, err } = io;
  const folder = resolve(flags.dir);
  installMissing([postgres, natsServer], err);
  const log = (line: string) => err(line);
  let servers: Servers | null = null;
  let cluster: Cluster | null = null;
  try {
    err('starting PostgreSQL, NATS and the blob store …');
    servers = await startServers({
      folder,
      blobs: flags.blobs === 's3' ? 's3' : { folder: resolve(folder, 'blobs') },
      fsync: true,
    });
    cluster = await startCluster(servers, flags, folder, log);
    const { members } = cluster;
    for (const kept of [...keptServers(servers), ...members.map((member) => keptMember(cluster!, member))]) {
      void keepUp(kept, { signal, log });
    }
    const urls = await cluster.urls();
    const processes = members.map(({ name, role, index, child }) => ({
      name,
      pid: child.pid,
      url: `http://127.0.0.1:${cluster!.portOf(role, index)}`,
    }));
    if (flags.json) out(JSON.stringify({ event: 'running', folder, gateways: urls, processes }));
    else {
      out(`a verifier of ${members.length} processes runs in ${folder} (logs: ${folder}/logs)`);
      for (const { name, url } of processes) out(`  ${name.padEnd(12)} ${url}`);
      out('each tells how it is at /metrics, /healthz and /readyz; to mine:');
      out('  npx grail keys new --keystore miner.json');
      out(`  npx grail miner --keystore miner.json --verifier ${urls.join(',')}`);
    }
    await new Promise<void>((stopped) => {
      if (signal.aborted) stopped();
      signal.addEventListener('abort', () => stopped(), { once: true });
    });
    err('stopping …');
    return undefined;
  } finally {
    await cluster?.stop();
    await servers?.stop();
  }
}

async function startCluster(
  servers: Servers,
  options: z.output<typeof FLAGS>,
  folder: string,
  log: (line: string) => void,
): Promise<Cluster> {
  const { env, ...places } = await servers.placesOf(NETWORK);
  const { sequencers, gateways, checkers, trainers, port, operatorPort, phaseTimeout, lease, seed } = options;
  const cluster = new Cluster({
    folder,
    places,
    env,
    sizes: { sequencer: sequencers, gateway: gateways, checker: checkers, trainer: trainers },
    port,
    operatorPort,
    sequencerFlags: [
      ...['--phase-timeout', String(phaseTimeout), '--lease', String(lease)],
      ...['--environment', options.environment],
      ...(seed === undefined ? [] : ['--seed', String(seed)]),
    ],
    onLine: (name, line) => {
      if (/^(warn|error|[A-Z_]+:)/.test(line)) log(`[${name}] ${line}`);
    },
  });
  try {
    await cluster.start();
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

function keptServers({ postgres, nats, s3 }: Servers): Kept[] {
  const all = { PostgreSQL: postgres, NATS: nats, ...(s3 && { 'the S3 server': s3 }) };
  return Object.entries(all).map(([name, { ended, start }]) => ({ name, ended, start }));
}

function keptMember(cluster: Cluster, first: Member): Kept {
  let member = first;
  return {
    name: first.name,
    ended: () => member.child.ended,
    start: async () => {
      member = cluster.launch(first.role, first.index);
    },
  };
}

/** Runs the command, and gives the exit code: as `grail` does. */
async function main(argv: readonly string[], io: CommandIo): Promise<number> {
  try {
    if (argv.includes('--help') || argv.includes('-h')) {
      for (const line of commandHelp(command)) io.out(line.replace(/^grail cluster/, 'npm run cluster --'));
      return 0;
    }
    const parsed = parseArguments(command, argv);
    return (await command.run({ ...io, ...parsed })) ?? 0;
  } catch (error) {
    if (io.signal.aborted) return 0;
    const coded = codedError(error);
    io.err(`${coded.code}: ${coded.message}`);
    for (const [key, value] of Object.entries(coded.details)) io.err(`  ${key}: ${JSON.stringify(value)}`);
    if (argv.includes('--json')) io.out(JSON.stringify({ error: coded }));
    return coded.code === 'USAGE' ? 2 : 1;
  }
}

await runProcess((io) => main(process.argv.slice(2), io));
