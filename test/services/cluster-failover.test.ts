import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Servers, startServers } from '../../deploy/servers/index.ts';
import { LiveCluster } from '../helpers/cluster.ts';
import { type GrailProcess, killAll } from '../helpers/grail-process.ts';

/** The tests tell one story of one network, in order. */
const LEASE = ['--lease', '10'];
const SIZES = { sequencer: 2, gateway: 1, checker: 1, trainer: 1 } as const;

let servers: Servers;
let folder: string;
let cluster: LiveCluster;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'grail-failover-'));
  servers = await startServers({ blobs: { folder: join(folder, 'blobs') }, fsync: false });
  cluster = await LiveCluster.make(servers, {
    name: 'failover',
    seed: 21,
    miners: 2,
    sizes: SIZES,
    sequencerFlags: LEASE,
  });
  await cluster.processes.start();
  const [url] = await cluster.processes.urls();
  for (const index of [0, 1]) cluster.miner(index, url!);
});

afterAll(async () => {
  await killAll();
  await cluster?.remove();
  await servers?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Number of lines that were heard until now. */
const now = () => cluster.lines.length;

/** Waits until a window that is not begun yet has left its commit phase: then it is being judged. */
async function judging(): Promise<void> {
  await cluster.line(/: commit closed/, undefined, now());
}

const holder = async () => {
  const leases = cluster.lines.filter(({ line }) => line.includes('has the lease'));
  return leases.at(-1)!.name;
};

describe('a verifier of several processes goes on', () => {
  test('when the sequencer is killed in the middle of a window', async () => {
    await cluster.line(/standby: .* holds the lease/);
    await judging();
    const from = now();
    const killed = await holder();
    await cluster.processes.kill(killed);
    const next = await cluster.line(/has the lease/, undefined, from);
    expect(next.name).not.toBe(killed);
    await cluster.line(/: verdict/, next.name, from);
    cluster.processes.launch('sequencer', Number(killed.split('-')[1]));
    await cluster.line(/standby: .* holds the lease/, killed, from);
  });

  test('when the sequencer stands still for longer than its lease, which then cannot write any more', async () => {
    const from = now();
    const frozen = await holder();
    const { child } = cluster.processes.members.find(({ name }) => name === frozen)!;
    process.kill(child.pid, 'SIGSTOP');
    const next = await cluster.line(/has the lease/, undefined, from);
    await cluster.line(/: verdict/, next.name, from);
    process.kill(child.pid, 'SIGCONT');
    expect(await child.ended).toBe('exit code 1');
    await cluster.line(/^LEASE_LOST/, frozen, from);
    expect(await holder()).toBe(next.name);
  });

  test('when a checker is killed while it computes', async () => {
    await judging();
    const from = now();
    await cluster.processes.kill('checker-0');
    cluster.processes.launch('checker', 0);
    await cluster.line(/: verdict/, undefined, from);
  });

  test('when the trainer starts on another machine', async () => {
    await cluster.processes.kill('trainer-0');
    const trainer = cluster.process('trainer', join(folder, 'trainer'));
    await trainer.line(/"listening"/);
    const from = now();
    await judging();
    await cluster.line(/: verdict/, undefined, from);
  });
});

describe('a sequencer on another machine', () => {
  let sequencer: GrailProcess;

  test('is refused with the keys of another network, before it waits for the lease', async () => {
    const wrong = join(folder, 'wrong');
    const stranger = await LiveCluster.make(servers, { name: 'stranger', seed: 22, miners: 0, sizes: SIZES });
    mkdirSync(wrong);
    cpSync(join(stranger.operator, 'operator.json'), join(wrong, 'operator.json'));
    const refused = cluster.process('sequencer', wrong, ...LEASE);
    expect((await refused.ended).code).toBe(1);
    expect(refused.log).toMatch(/^GENESIS_MISMATCH/m);
    expect(refused.log).not.toContain('standby');
    await stranger.remove();
  });

  test('is refused without keys', async () => {
    const refused = cluster.process('sequencer', join(folder, 'none'), ...LEASE);
    expect((await refused.ended).code).toBe(1);
    expect(refused.log).toMatch(/^NOT_FOUND: .*operator\.json/m);
  });

  test('goes on with a copy of operator.json alone, without training again', async () => {
    for (const name of ['sequencer-0', 'sequencer-1']) await cluster.processes.kill(name);
    const other = join(folder, 'operator');
    mkdirSync(other);
    cpSync(join(cluster.operator, 'operator.json'), join(other, 'operator.json'));
    sequencer = cluster.process('sequencer', other, ...LEASE, '--phase-timeout', '600');
    await sequencer.line(/has the lease/);
    await sequencer.line(/: verdict/);
    expect(sequencer.log).not.toContain('training again');
  });

  test('stops in order, and leaves a ledger that passes an audit', async () => {
    expect((await sequencer.stop('SIGTERM')).code).toBe(143);
    await killAll();
    await cluster.processes.stop();
    const report = await cluster.audit();
    expect(report.divergence).toBeNull();
    expect(report.windows).toBeGreaterThanOrEqual(5);
  });
});
