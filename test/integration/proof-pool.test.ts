import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type CircuitArtefacts, loadCircuitArtefacts } from '../../src/proofs/artefacts.ts';
import { isAlive } from '../../src/proofs/lock.ts';
import { createProofPool, type ProofPool } from '../../src/proofs/pool.ts';
import { createVerifier } from '../../src/proofs/verify.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { PRODUCT_CIRCUIT, productInput } from '../helpers/product-circuit.ts';

let artefacts: CircuitArtefacts;
const pools: ProofPool[] = [];

beforeAll(async () => {
  artefacts = await loadCircuitArtefacts(PRODUCT_CIRCUIT);
});

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close()));
});

function pool(options: { size?: number; queue?: number } = {}): ProofPool {
  const made = createProofPool({ size: 1, artefacts, ...options });
  pools.push(made);
  return made;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('a proof pool', () => {
  test('proves and verifies in a process of its own', async () => {
    const one = pool();
    const { proof, publicSignals, witnessMs, proveMs } = await one.prove(productInput());
    expect(publicSignals).toEqual([42n, 11n, 3n, 4n]);
    expect(witnessMs).toBeGreaterThan(0);
    expect(proveMs).toBeGreaterThan(0);
    await one.verify(publicSignals, proof);
    await (await createVerifier(artefacts.verificationKey)).verify(publicSignals, proof);
    expect(one.pids).toHaveLength(1);
    expect(one.pids).not.toContain(process.pid);
  });

  test('says which stage a job is in', async () => {
    const one = pool();
    const stages: string[] = [];
    await one.prove(productInput(), { onStage: (stage) => stages.push(stage) });
    expect(stages).toEqual(['witness', 'proof']);
    await expectCode(
      'WITNESS_FAILED',
      one.prove({ ...productInput(), statement: 1n }, { onStage: (stage) => stages.push(stage) }),
    );
    expect(stages).toEqual(['witness', 'proof', 'witness']);
  });

  test('proves with several threads and ends with them', async () => {
    const one = createProofPool({ size: 1, artefacts, threads: 'multi' });
    pools.push(one);
    const { proof, publicSignals } = await one.prove(productInput());
    await one.verify(publicSignals, proof);
    const [pid] = one.pids;
    await one.close();
    expect(isAlive(pid!)).toBe(false);
  });

  test('passes on a verifier’s refusal with its code and details', async () => {
    const one = pool();
    const error = await expectCode('PROOF_ENCODING', one.verify([42n, 11n, 3n, 4n], new Uint8Array(3)));
    expect(error.details).toEqual({ expected: 256, got: 3 });
  });

  test('passes on a failed witness with the constraint’s text, and the process goes on', async () => {
    const one = pool();
    const error = await expectCode('WITNESS_FAILED', one.prove({ ...productInput(), statement: 1n }));
    expect(error.details.constraint).toMatch(/template Product/);
    const before = one.pids;
    await one.prove(productInput());
    expect(one.pids).toEqual(before);
  });

  test('starts no more processes than its size and finishes all jobs', async () => {
    const two = pool({ size: 2 });
    const statements = [2n, 3n, 5n, 7n, 11n];
    const jobs = statements.map((a) => two.prove(productInput(a, 1n)));
    expect(two.pids).toHaveLength(2);
    const proven = await Promise.all(jobs);
    expect(proven.map(({ publicSignals }) => publicSignals[0])).toEqual(statements);
    expect(two.pids).toHaveLength(2);
  });

  test('replaces a process that is killed in a job, and the job succeeds', async () => {
    const one = pool();
    await one.prove(productInput());
    const job = one.prove(productInput());
    const [victim] = one.pids;
    process.kill(victim!, 'SIGKILL');
    expect((await job).publicSignals[0]).toBe(42n);
    expect(one.pids).toHaveLength(1);
    expect(one.pids).not.toContain(victim);
  });

  test('gives a job up whose process is killed twice, and goes on with the next', async () => {
    const one = pool();
    const job = one.prove(productInput());
    const next = one.prove(productInput(2n, 3n));
    const failed = expectCode('PROVER_FAILED', job);
    const [first] = one.pids;
    process.kill(first!, 'SIGKILL');
    await until(() => one.pids.length === 1 && one.pids[0] !== first);
    process.kill(one.pids[0]!, 'SIGKILL');
    expect((await failed).details.ended).toBe('SIGKILL');
    expect((await next).publicSignals[0]).toBe(6n);
  });

  test('fails with PROVER_FAILED when its files are missing', async () => {
    const one = createProofPool({ size: 1, artefacts: { ...artefacts, zkey: '/nowhere/zkey' } });
    pools.push(one);
    const error = await expectCode('PROVER_FAILED', one.prove(productInput()));
    expect(error.message).toMatch(/ENOENT/);
  });

  test('refuses a job when its queue is full', async () => {
    const one = pool({ queue: 1 });
    const running = one.prove(productInput());
    const waiting = one.prove(productInput());
    const error = await expectCode('TOO_MANY_REQUESTS', one.prove(productInput()));
    expect(error.details).toEqual({ capacity: 1 });
    await Promise.all([running, waiting]);
  });

  test('drops an aborted job that waits, and the running one goes on', async () => {
    const one = pool();
    const controller = new AbortController();
    const running = one.prove(productInput());
    const before = one.pids;
    const waiting = expectCode('STOPPED', one.prove(productInput(), { signal: controller.signal }));
    controller.abort();
    await waiting;
    await running;
    expect(one.pids).toEqual(before);
  });

  test('ends the process of an aborted job that runs, and takes the next job', async () => {
    const one = pool();
    await one.prove(productInput());
    const [before] = one.pids;
    const controller = new AbortController();
    const running = expectCode('STOPPED', one.prove(productInput(), { signal: controller.signal }));
    controller.abort();
    await running;
    await one.prove(productInput());
    expect(one.pids).not.toContain(before);
  });

  test('refuses a job whose signal is aborted already, without starting a process', async () => {
    const one = pool();
    await expectCode('STOPPED', one.prove(productInput(), { signal: AbortSignal.abort() }));
    expect(one.pids).toEqual([]);
  });

  test('leaves no process when it is closed, and ends its jobs with STOPPED', async () => {
    const two = pool({ size: 2 });
    const jobs = [1, 2, 3].map(() => expectCode('STOPPED', two.prove(productInput())));
    const pids = [...two.pids];
    expect(pids).toHaveLength(2);
    await two.close();
    await Promise.all(jobs);
    expect(pids.filter(isAlive)).toEqual([]);
    expect(two.pids).toEqual([]);
    await expectCode('STOPPED', two.prove(productInput()));
  });

  test('takes its processes with it when its own process is killed', async () => {
    const parent = spawn(
      process.execPath,
      [fileURLToPath(new URL('../helpers/pool-parent.ts', import.meta.url))],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const pids = JSON.parse(String(line)) as number[];
    expect(pids).toHaveLength(2);
    expect(pids.every(isAlive)).toBe(true);
    parent.kill('SIGKILL');
    await until(() => !pids.some(isAlive));
  });
});
