import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { powersOfTau, zKey } from 'snarkjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCeremony } from '../../src/proofs/ceremony/create.ts';
import { exportKey } from '../../src/proofs/ceremony/export.ts';
import { addBeacon, contribute } from '../../src/proofs/ceremony/extend.ts';
import { readTranscript } from '../../src/proofs/ceremony/transcript.ts';
import { verifyCeremony } from '../../src/proofs/ceremony/verify.ts';
import { insecureDevSecrets } from '../../src/proofs/development-keys.ts';
import { checkProvenance, readKeyFile } from '../../src/proofs/key-file.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { writeKnownPhaseOne } from '../helpers/known-phase-one.ts';
import { endSnarkjs, makePhaseOne, SMALL_CIRCUIT } from '../helpers/small-ceremony.ts';

const BEACON = { value: `0x${'ab'.repeat(32)}`, iterationsExp: 10, source: 'block 17' };
const circuit = SMALL_CIRCUIT;
let folder: string;
let plain: string;
let phaseOne: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'grail-ceremony-test-'));
  ({ plain, prepared: phaseOne } = await makePhaseOne(folder));
});

afterAll(async () => {
  await endSnarkjs();
  await rm(folder, { recursive: true });
});

describe('a ceremony of two people and a beacon', () => {
  let directory: string;
  let hashes: string[];

  beforeAll(async () => {
    directory = join(folder, 'whole');
    await createCeremony(directory, circuit, phaseOne);
    const added = [
      await contribute(directory, { name: 'Ada', entropy: null }),
      await contribute(directory, { name: 'Bob', entropy: plain }),
      await addBeacon(directory, BEACON),
    ];
    hashes = added.map(({ contributionHash }) => contributionHash);
  });

  test('verifies from nothing but its folder and the phase 1 file, and names everyone', async () => {
    const { transcript } = await verifyCeremony(directory, { phaseOne, circuit });
    expect(transcript.steps.slice(1)).toMatchObject([
      { kind: 'contribution', name: 'Ada', contributionHash: hashes[0] },
      { kind: 'contribution', name: 'Bob', contributionHash: hashes[1] },
      { kind: 'beacon', ...BEACON, contributionHash: hashes[2] },
    ]);
  });

  test('is accepted by snarkjs alone, which sees the same key', async () => {
    const zkey = join(directory, '0003.zkey');
    const snarkjs = fileURLToPath(new URL('../../node_modules/snarkjs/build/cli.cjs', import.meta.url));
    const args = ['zkey', 'verify', join(directory, 'circuit.r1cs'), phaseOne, zkey];
    const printed = execFileSync(process.execPath, [snarkjs, ...args], { encoding: 'utf8' });
    expect(printed).toContain('ZKey Ok!');
    for (const hash of hashes) expect(printed.replace(/\s/g, '')).toContain(hash.slice(2));
    const { file } = await exportKey(directory, join(folder, 'alone.json'), { phaseOne, circuit });
    expect(await zKey.exportVerificationKey(zkey)).toEqual(file.verificationKey);
  });

  test('exports a key that a network may use, with every contribution as it is in the key', async () => {
    const path = join(folder, 'key.json');
    await exportKey(directory, path, { phaseOne, circuit });
    const file = await readKeyFile(path);
    await checkProvenance(file, false);
    expect(file.provenance).toMatchObject({
      kind: 'ceremony',
      contributions: hashes.map((hash) => ({ hash })),
      phase1: { power: 6, contributions: 1, verified: true },
    });
  });

  test('needs only its newest key to be verified', async () => {
    await rm(join(directory, '0001.zkey'));
    await verifyCeremony(directory, { phaseOne, circuit });
  });

  test('takes nothing after its beacon', async () => {
    await expectCode('USAGE', contribute(directory, { name: 'Eve', entropy: null }));
    await expectCode('USAGE', addBeacon(directory, BEACON));
    expect((await readTranscript(directory)).steps).toHaveLength(4);
  });
});

describe('beginning a ceremony', () => {
  const begin = (file: string, name: string, of = circuit) => createCeremony(join(folder, name), of, file);

  test('needs a folder of its own', async () => {
    const taken = join(folder, 'taken');
    await mkdir(taken);
    await writeFile(join(taken, 'file'), '');
    await expectCode('USAGE', begin(phaseOne, 'taken'));
  });

  test('says which command prepares a phase 1 file for phase 2', async () => {
    const error = await expectCode('CEREMONY_PHASE1', begin(plain, 'unprepared'));
    expect(error.message).toContain(`npx snarkjs powersoftau prepare phase2 ${plain}`);
  });

  test('refuses a phase 1 file that is missing, or is something else', async () => {
    await expectCode('CEREMONY_PHASE1', begin(join(folder, 'none.ptau'), 'none'));
    const other = join(folder, 'other.ptau');
    await writeFile(other, 'something else');
    await expectCode('CEREMONY_PHASE1', begin(other, 'none'));
  });

  test('refuses a phase 1 file that is too small for the circuit', async () => {
    const small = await makePhaseOne(await mkdtemp(join(folder, 'small-')), 3);
    const error = await expectCode('CEREMONY_PHASE1', begin(small.prepared, 'none'));
    expect(error.message).toContain('too big');
  });

  test('refuses a phase 1 to which nobody contributed', async () => {
    const known = await knownPhaseOne({ tau: 5n, alpha: 7n, beta: 11n });
    const error = await expectCode('CEREMONY_PHASE1', begin(known, 'none'));
    expect(error.message).toContain('no contribution');
  });

  test.each(['tau', 'alpha', 'beta'] as const)('refuses a phase 1 with the development %s', async (name) => {
    const secrets = { tau: 5n, alpha: 7n, beta: 11n, [name]: insecureDevSecrets()[name] };
    await expectCode('KEY_INSECURE', begin(await knownPhaseOne(secrets), 'none'));
  });

  test('leaves nothing behind when it fails or is stopped', async () => {
    const before = await readdir(folder);
    await expectCode('CEREMONY_PHASE1', begin(plain, 'none'));
    const signal = AbortSignal.abort();
    await expectCode('STOPPED', createCeremony(join(folder, 'none'), circuit, phaseOne, { signal }));
    expect(await readdir(folder)).toEqual(before);
  });

  async function knownPhaseOne(secrets: { tau: bigint; alpha: bigint; beta: bigint }): Promise<string> {
    const known = join(folder, 'known.ptau');
    const prepared = join(folder, 'known-prepared.ptau');
    await writeKnownPhaseOne(known, 6, secrets);
    await powersOfTau.preparePhase2(known, prepared);
    return prepared;
  }
});

describe('adding to a ceremony', () => {
  let directory: string;

  beforeAll(async () => {
    directory = join(folder, 'open');
    await createCeremony(directory, circuit, phaseOne);
  });

  test('is refused before it begins for a name or beacon that is none', async () => {
    for (const name of ['', 'a\nb', 'x'.repeat(65), 'beacon', '"quoted"']) {
      await expectCode('USAGE', contribute(directory, { name, entropy: null }));
    }
    for (const wrong of [{ value: '0xab' }, { value: 'latest' }, { iterationsExp: 9 }, { source: '' }]) {
      await expectCode('USAGE', addBeacon(directory, { ...BEACON, ...wrong }));
    }
    await expectCode('NOT_FOUND', contribute(directory, { name: 'Ada', entropy: join(folder, 'none') }));
    await expectCode('CEREMONY_TRANSCRIPT', contribute(folder, { name: 'Ada', entropy: null }));
  });

  test('adds nothing when it is stopped in the middle', async () => {
    const controller = new AbortController();
    const onProgress = () => controller.abort();
    const options = { signal: controller.signal, onProgress };
    await expectCode('STOPPED', contribute(directory, { name: 'Ada', entropy: null }, options));
    expect(await readdir(directory)).toEqual(['0000.zkey', 'circuit.r1cs', 'transcript.json']);
    expect((await readTranscript(directory)).steps).toHaveLength(1);
  });

  test('does not overwrite a key that is there', async () => {
    const path = join(directory, '0001.zkey');
    await writeFile(path, 'precious');
    await expectCode('CEREMONY_TRANSCRIPT', contribute(directory, { name: 'Ada', entropy: null }));
    expect(await readFile(path, 'utf8')).toBe('precious');
    await rm(path);
  });

  test('gives another share each time, also from the same name and entropy', async () => {
    const copies = await Promise.all(
      ['a', 'b'].map(async (name) => {
        const copy = join(folder, `same-${name}`);
        await createCeremony(copy, circuit, phaseOne);
        return contribute(copy, { name: 'Ada', entropy: plain });
      }),
    );
    expect(copies[0]!.contributionHash).not.toBe(copies[1]!.contributionHash);
  });

  test('is all that makes a key secure: without a contribution, or with a beacon alone, it is refused', async () => {
    await expectCode('KEY_INSECURE', verifyCeremony(directory, { phaseOne, circuit }));
    await verifyCeremony(directory, { phaseOne, circuit, unfinished: true });
    await addBeacon(directory, BEACON);
    await expectCode('KEY_INSECURE', verifyCeremony(directory, { phaseOne, circuit }));
    await expectCode('KEY_INSECURE', exportKey(directory, join(folder, 'none.json'), { phaseOne, circuit }));
    expect(await readdir(folder)).not.toContain('none.json');
  });
});
