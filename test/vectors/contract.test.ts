import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { COMPILER, compileSolidity } from '../../contracts/compile.ts';
import { exportVerifier } from '../../src/chain/export-verifier.ts';
import type { VerificationKey } from '../../src/proofs/verification-key.ts';
import { fromHex, toHex, utf8 } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';

const read = <T>(name: string): T => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8')) as T;

/** The contract of the key in groth16.json: whoever exports and compiles it must get these bytes. */
const vector = read<{ compiler: string; source: string; creation: string; runtime: string }>(
  './contract.json',
);

test('the contract of the test vector’s key is the same text and the same bytes everywhere', async () => {
  const { verificationKey } = read<{ verificationKey: VerificationKey }>('./groth16.json');
  const source = await exportVerifier(verificationKey, { insecureDev: true });
  const { creation, runtime } = compileSolidity(source).get('SpotCheckVerifier')!;
  expect({
    compiler: COMPILER,
    source: toHex(sha256(utf8(source))),
    creation: toHex(sha256(fromHex(creation))),
    runtime: toHex(sha256(fromHex(runtime))),
  }).toEqual(vector);
});
