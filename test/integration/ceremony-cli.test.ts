import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCeremony } from '../../src/proofs/ceremony/create.ts';
import { readTranscript } from '../../src/proofs/ceremony/transcript.ts';
import { runHere } from '../helpers/run-here.ts';
import { endSnarkjs, makePhaseOne, SMALL_CIRCUIT } from '../helpers/small-ceremony.ts';

let folder: string;
let phaseOne: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'grail-ceremony-cli-'));
  phaseOne = (await makePhaseOne(folder)).prepared;
});

afterAll(async () => {
  await endSnarkjs();
  await rm(folder, { recursive: true });
});

const grail = (...args: string[]) => runHere(['ceremony', ...args]);

describe('grail ceremony', () => {
  test.each([
    [['new', '--environment', 'cartpole', '--phase1', 'x.ptau'], '--out is missing'],
    [['new', '--environment', 'cartpole', '--out', 'x'], '--phase1 is missing'],
    [['new', '--phase1', 'x.ptau', '--out', 'x'], 'either --environment or --architecture'],
    [['new', 'x', '--phase1', 'x.ptau', '--out', 'x'], 'as --out'],
    [['contribute', 'x'], '--name is missing'],
    [['contribute', '--name', 'Ada'], 'DIRECTORY is missing'],
    [['contribute', 'x', '--name', 'Ada', '--value', '0xab'], 'no flag --value'],
    [['beacon', 'x', '--source', 'here'], '--value is missing'],
    [['beacon', 'x', '--value', '0xab'], '--source is missing'],
    [['beacon', 'x', '--value', 'latest', '--source', 'here'], 'hexadecimal'],
    [['beacon', 'x', '--value', '0xab', '--source', 'here', '--iterations-exp', '40'], '--iterations-exp'],
    [['verify', 'x'], '--phase1 is missing'],
    [['export', 'x', '--phase1', 'x.ptau', '--unfinished'], 'no flag --unfinished'],
    [['delete', 'x'], 'ACTION'],
  ])('%j is wrong usage', async (args, message) => {
    const { code, err } = await grail(...args);
    expect(err.join('\n')).toContain(message);
    expect(code).toBe(2);
  });

  test('adds to a ceremony, prints the hash that its contributor keeps, and takes no entropy but a file’s', async () => {
    const directory = join(folder, 'ceremony');
    await createCeremony(directory, SMALL_CIRCUIT, phaseOne);
    const dice = join(folder, 'dice');
    await writeFile(dice, '4 2 6 6 1');
    const first = await grail('contribute', directory, '--name', 'Ada', '--entropy', dice);
    const second = await grail('contribute', directory, '--name', 'Bob', '--json');
    const beacon = ['--value', 'AB'.repeat(32), '--source', 'drand round 4242'];
    const last = await grail('beacon', directory, ...beacon, '--json');
    expect([first.code, second.code, last.code]).toEqual([0, 0, 0]);
    const [, ada, bob, end] = (await readTranscript(directory)).steps;
    expect(first.out[0]).toBe(
      `contribution 1 of Ada: ${(ada as { contributionHash: string }).contributionHash}`,
    );
    expect(bob).toMatchObject({
      name: 'Bob',
      contributionHash: JSON.parse(second.out.at(-1)!).contributionHash,
    });
    expect(end).toMatchObject({ kind: 'beacon', value: `0x${'ab'.repeat(32)}`, source: 'drand round 4242' });
  });

  test('exits with 1 and the code of what is wrong', async () => {
    const { code, out } = await grail('verify', join(folder, 'none'), '--phase1', phaseOne, '--json');
    expect(code).toBe(1);
    expect(JSON.parse(out.at(-1)!).error.code).toBe('CEREMONY_TRANSCRIPT');
  });
});
