import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { exportVerifier } from '../../src/chain/export-verifier.ts';
import type { KeyFile } from '../../src/proofs/key-file.ts';
import { type VerificationKey, verificationKeyHash } from '../../src/proofs/verification-key.ts';
import { packageRoot } from '../../src/storage/package-root.ts';
import { expectCode } from '../helpers/expect-code.ts';

const vector = new URL('../vectors/groth16.json', import.meta.url);
const { verificationKey: key } = JSON.parse(readFileSync(vector, 'utf8')) as {
  verificationKey: VerificationKey;
};
/** The same key, except that its α is not the development setup's. */
const ownKey: VerificationKey = { ...key, vk_alpha_1: key.IC[0]! };

describe('exporting a contract', () => {
  test('gives the same text for the same key', async () => {
    const options = { insecureDev: true };
    expect(await exportVerifier(key, options)).toBe(await exportVerifier(structuredClone(key), options));
  });

  test('gives one file without imports that ends with the named contract', async () => {
    const source = await exportVerifier(ownKey, { name: 'CartPole8' });
    expect(source).not.toMatch(/^import/m);
    expect(source.match(/SPDX-License-Identifier/g)).toHaveLength(1);
    expect(source.match(/^contract (\w+)/gm)).toEqual(['contract CartPole8']);
  });

  test('writes every number of the key once, and its hash', async () => {
    const source = await exportVerifier(ownKey);
    const { vk_alpha_1, vk_beta_2, vk_gamma_2, vk_delta_2, IC } = ownKey;
    // α is IC₀ in this key, so these two occur twice.
    const numbers = [vk_beta_2, vk_gamma_2, vk_delta_2].flatMap(([x, y]) => [...x, ...y]);
    numbers.push(...IC.slice(1).flatMap((point) => point.slice(0, 2)));
    for (const number of numbers) expect(source.split(number)).toHaveLength(2);
    for (const number of vk_alpha_1.slice(0, 2)) expect(source.split(number)).toHaveLength(3);
    expect(source).toContain(`verificationKeyHash = ${verificationKeyHash(ownKey)};`);
  });

  test('of a development key is refused unless it is asked for', async () => {
    await expectCode('KEY_INSECURE', exportVerifier(key));
  });

  test('of a development key says so in the text and on the chain, and of another key does not', async () => {
    const insecure = await exportVerifier(key, { insecureDev: true });
    expect(insecure).toContain('INSECURE: a development key');
    expect(insecure).toContain('bool public constant insecureDev = true;');
    const own = await exportVerifier(ownKey, { insecureDev: true });
    expect(own).not.toContain('INSECURE');
    expect(own).toContain('bool public constant insecureDev = false;');
  });

  test('of a key to which nobody contributed is refused', async () => {
    const unkeyed = { ...ownKey, vk_delta_2: ownKey.vk_gamma_2 };
    await expectCode('KEY_INSECURE', exportVerifier(unkeyed, { insecureDev: true }));
  });

  test.each<[string, Partial<VerificationKey>]>([
    ['a point off the curve', { vk_alpha_1: ['1', '1', '1'] }],
    ['a point of the twist off the curve', { vk_beta_2: [key.vk_beta_2[1], key.vk_beta_2[0], ['1', '0']] }],
    ['a missing point', { IC: key.IC.slice(1) }],
    ['another protocol', { protocol: 'plonk' as 'groth16' }],
  ])('of a key with %s is refused', async (_, change) => {
    await expectCode('KEY_MISMATCH', exportVerifier({ ...ownKey, ...change }));
  });

  test.each(['', '1A', 'A B', 'A{}contract B', 'Ä', 'ProofVerifier', 'IProofVerifier', 'A'.repeat(65)])(
    "under the name '%s' is refused",
    async (name) => {
      await expectCode('USAGE', exportVerifier(ownKey, { name }));
    },
  );

  const folder = join(packageRoot(), 'circuits', 'keys');
  const keys = readdirSync(folder).filter((file) => file.endsWith('.json'));
  test.each(keys)('of the committed key %s works', async (file) => {
    const committed = JSON.parse(readFileSync(join(folder, file), 'utf8')) as KeyFile;
    const source = await exportVerifier(committed.verificationKey, { insecureDev: true });
    expect(source).toContain(committed.verificationKeyHash);
  });
});
