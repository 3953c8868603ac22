import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { insecureDevSecrets } from '../../src/proofs/development-keys.ts';
import { proofFromSnarkjs, proofToSnarkjs, type SnarkjsProof } from '../../src/proofs/encoding.ts';
import {
  checkVerificationKey,
  isDevelopmentKey,
  type VerificationKey,
  verificationKeyHash,
} from '../../src/proofs/verification-key.ts';
import { createVerifier } from '../../src/proofs/verify.ts';
import { bigToBytes, fromHex, toHex } from '../../src/protocol/bytes.ts';
import { tag } from '../../src/protocol/hash.ts';

/** A proof and a key that snarkjs made; `origin` in the file says from what. */
const vector = JSON.parse(readFileSync(new URL('./groth16.json', import.meta.url), 'utf8')) as {
  publicSignals: string[];
  proof: string;
  snarkjsProof: SnarkjsProof;
  verificationKeyHash: string;
  verificationKey: VerificationKey;
};

describe('the proof of docs/PROTOCOL.md', () => {
  test('has the wire form that its snarkjs form encodes to', () => {
    expect(toHex(proofFromSnarkjs(vector.snarkjsProof))).toBe(vector.proof);
    expect(proofToSnarkjs(fromHex(vector.proof))).toEqual(vector.snarkjsProof);
  });

  test('verifies for its public signals', async () => {
    const verifier = await createVerifier(vector.verificationKey);
    await verifier.verify(vector.publicSignals.map(BigInt), fromHex(vector.proof));
  });

  test('is made with the key whose hash is stated', () => {
    expect(verificationKeyHash(vector.verificationKey)).toBe(
      '0x7ae0f013b5285a72249f21c5b2cb8085eb51fee843ac7634454b25ece775e0c2',
    );
    checkVerificationKey(vector.verificationKey, vector.verificationKeyHash, true);
    expect(isDevelopmentKey(vector.verificationKey)).toBe(true);
  });
});

describe('the development secrets of docs/PROTOCOL.md', () => {
  test('derive from these tags', () => {
    expect(toHex(tag('insecure-dev/phase1'))).toMatchInlineSnapshot(
      `"0x480bef425ad54db86c76367b6b4f0bb9c095b6da84d8316bc775481f64384ccc"`,
    );
    expect(toHex(tag('insecure-dev/phase2'))).toMatchInlineSnapshot(
      `"0x558f1243efff7c45296a40546940beae90ab2a18a0b28ea8bf61e7f4c1e61d20"`,
    );
  });

  test('have these values', () => {
    const secrets = Object.entries(insecureDevSecrets()).map(([name, value]) => [
      name,
      toHex(bigToBytes(value, 32)),
    ]);
    expect(Object.fromEntries(secrets)).toEqual({
      tau: '0x0be1f57b4c8ed0b699f2bca39dba3db631a95d57fc8dbc00391f1b48ea5e8717',
      alpha: '0x0f52a07bae48838a5672d52e7f097cec3987416e9c9c4e81d089ea51c2020ccb',
      beta: '0x2f2c87933448220ff0907a01ab285b8e0cf8c2166db6400dadf9a8e871374937',
      delta: '0x086d6fba6348667d50fb00d5b09f6554ab30976d3832248440aa4657fa3d9ec0',
    });
  });
});
