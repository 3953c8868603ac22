import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildBn128, type Curve } from 'ffjavascript';
import { powersOfTau, zKey } from 'snarkjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileCircuit } from '../../src/proofs/compile.ts';
import { insecureDevSecrets, makeInsecureDevKeys } from '../../src/proofs/development-keys.ts';
import { groth16Setup } from '../../src/proofs/groth16-setup.ts';
import { parseR1cs } from '../../src/proofs/r1cs.ts';
import {
  checkVerificationKey,
  isDevelopmentKey,
  type VerificationKey,
  verificationKeyHash,
} from '../../src/proofs/verification-key.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { writeKnownPhaseOne } from '../helpers/known-phase-one.ts';
import { PRODUCT_CIRCUIT } from '../helpers/product-circuit.ts';

let folder: string;
let r1cs: Uint8Array;
let key: VerificationKey;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'grail-keys-'));
  const compiled = await compileCircuit({ ...PRODUCT_CIRCUIT, directory: folder });
  r1cs = await readFile(compiled.r1cs);
  key = (await makeInsecureDevKeys(r1cs)).verificationKey;
});

afterAll(async () => {
  // snarkjs' threads would keep the test process alive.
  await (globalThis as { curve_bn128?: Curve | null }).curve_bn128?.terminate();
  await rm(folder, { recursive: true });
});

/** Sections of a snarkjs binary file by their number. */
function sections(file: Uint8Array): Map<number, string> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const out = new Map<number, string>();
  for (let at = 12; at < file.length; ) {
    const size = Number(view.getBigUint64(at + 4, true));
    out.set(view.getUint32(at, true), Buffer.from(file.subarray(at + 12, at + 12 + size)).toString('hex'));
    at += 12 + size;
  }
  return out;
}

describe('the development setup', () => {
  test('gives the points and coefficients that snarkjs computes from a phase 1 with the same secrets', async () => {
    const secrets = { ...insecureDevSecrets(), delta: 1n };
    const phaseOne = join(folder, 'known.ptau');
    const prepared = join(folder, 'prepared.ptau');
    const theirs = join(folder, 'snarkjs.zkey');
    await writeKnownPhaseOne(phaseOne, 5, secrets);
    await powersOfTau.preparePhase2(phaseOne, prepared);
    await zKey.newZKey(join(folder, `${PRODUCT_CIRCUIT.name}.r1cs`), prepared, theirs);
    const expected = sections(await readFile(theirs));
    const ours = sections(await groth16Setup(await buildBn128(true), parseR1cs(r1cs), secrets));
    expect([...ours.keys()].sort()).toEqual([...expected.keys()].sort());
    for (const id of [1, 2, 3, 4, 5, 6, 7, 8, 9])
      expect(ours.get(id), `section ${id}`).toBe(expected.get(id));
  });

  test('gives the same bytes every time', async () => {
    const [first, second] = [await makeInsecureDevKeys(r1cs), await makeInsecureDevKeys(r1cs)];
    expect(toHex(sha256(first.zkey))).toBe(toHex(sha256(second.zkey)));
  });

  test('gives the proving and verification keys that docs/PROTOCOL.md states for the test circuit', async () => {
    expect({ r1cs: toHex(sha256(r1cs)), verificationKey: verificationKeyHash(key) }).toMatchInlineSnapshot(`
      {
        "r1cs": "0x05d3e08403fb05658c9a7068347d59c4f60f8fcc75f1eab30fbac6f6a9a636e5",
        "verificationKey": "0x7ae0f013b5285a72249f21c5b2cb8085eb51fee843ac7634454b25ece775e0c2",
      }
    `);
  });

  test('exports the verification key that snarkjs exports', async () => {
    const path = join(folder, 'ours.zkey');
    await writeFile(path, (await makeInsecureDevKeys(r1cs)).zkey);
    expect(await zKey.exportVerificationKey(path)).toEqual(key);
  });

  test('stops when it is aborted', async () => {
    const signal = AbortSignal.abort();
    await expectCode('STOPPED', makeInsecureDevKeys(r1cs, { signal }));
  });

  test('refuses a truncated constraint system', async () => {
    await expectCode('CIRCUIT_UNSOUND', makeInsecureDevKeys(r1cs.subarray(0, r1cs.length - 40)));
  });
});

describe('checking a verification key against genesis', () => {
  test('accepts a development key on an insecure-dev network that pins it', () => {
    checkVerificationKey(key, verificationKeyHash(key), true);
  });

  test('refuses a development key on any other network', async () => {
    await expectCode('KEY_INSECURE', () => checkVerificationKey(key, verificationKeyHash(key), false));
  });

  test('refuses a development key whose redundant fields were altered to disguise it', async () => {
    const disguised = { ...key, vk_alphabeta_12: [...key.vk_alphabeta_12].reverse() };
    expect(isDevelopmentKey(disguised)).toBe(true);
    await expectCode('KEY_INSECURE', () =>
      checkVerificationKey(disguised, verificationKeyHash(disguised), false),
    );
  });

  test('refuses another key than the pinned one', async () => {
    const other = { ...key, IC: [...key.IC].reverse() };
    await expectCode('KEY_MISMATCH', () => checkVerificationKey(other, verificationKeyHash(key), true));
  });

  test('refuses something that is no key, before it is hashed', async () => {
    const error = await expectCode('KEY_MISMATCH', () =>
      checkVerificationKey({ ...key, vk_gamma_2: undefined } as unknown as VerificationKey, '0x', true),
    );
    expect(error.details).toEqual({ field: 'vk_gamma_2' });
  });

  test('refuses a key without a contribution, where γ = δ', async () => {
    const bare = { ...key, vk_delta_2: key.vk_gamma_2 };
    await expectCode('KEY_INSECURE', () => checkVerificationKey(bare, verificationKeyHash(bare), true));
  });
});
