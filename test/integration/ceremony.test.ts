import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zKey } from 'snarkjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCeremony } from '../../src/proofs/ceremony/create.ts';
import { addBeacon, contribute } from '../../src/proofs/ceremony/extend.ts';
import { verifyCeremony } from '../../src/proofs/ceremony/verify.ts';
import { endSnarkjs, makePhaseOne, SMALL_CIRCUIT } from '../helpers/small-ceremony.ts';

let folder: string;
let phaseOne: { plain: string; prepared: string };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'grail-ceremony-test-'));
  phaseOne = await makePhaseOne(folder);
});
afterAll(async () => {
  await endSnarkjs();
  await rm(folder, { recursive: true });
});

test('x', async () => {
  const d = join(folder, 'c');
  const t = (n: string) => console.log(n, performance.now());
  t('start');
  await createCeremony(d, SMALL_CIRCUIT, phaseOne.prepared); t('create');
  console.log(await contribute(d, { name: 'Ada', entropy: null })); t('c');
  console.log(await contribute(d, { name: 'Bob', entropy: phaseOne.plain })); t('c');
  console.log(await addBeacon(d, { value: `0x${'ab'.repeat(32)}`, iterationsExp: 10, source: 'block 17' })); t('b');
  const v = await verifyCeremony(d, { phaseOne: phaseOne.prepared, circuit: SMALL_CIRCUIT }); t('v');
  console.log(JSON.stringify(v.transcript, null, 1), v.verificationKeyHash);
  expect(await zKey.exportVerificationKey(v.zkey)).toEqual(v.key.verificationKey);
});
