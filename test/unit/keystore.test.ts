import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createKeystore, inspectKeystore, loadIdentity } from '../../src/cli/keystore.ts';

const folder = mkdtempSync(join(tmpdir(), 'grail-keystore-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const env = { GRAIL_PASSWORD: 'password' };
const file = (name: string) => join(folder, `${name}.json`);

interface Keystore {
  Crypto: { kdf: string; kdfparams: Record<string, unknown> };
}

/** A keystore with other parameters of its key derivation. */
async function altered(name: string, change: (keystore: Keystore) => void): Promise<string> {
  await createKeystore(file(`${name}-sound`), 'password', 'fast');
  const keystore: Keystore = JSON.parse(readFileSync(file(`${name}-sound`), 'utf8'));
  change(keystore);
  writeFileSync(file(name), JSON.stringify(keystore));
  return file(name);
}

describe('a keystore', () => {
  test('says whose it is, and whether trying passwords is cheap', async () => {
    const fast = await createKeystore(file('fast'), 'password', 'fast');
    const standard = await createKeystore(file('standard'), 'password', 'standard');
    expect(inspectKeystore(file('fast'))).toEqual({ address: fast.address, fast: true });
    expect(inspectKeystore(file('standard'))).toEqual({ address: standard.address, fast: false });
    expect((await loadIdentity(file('fast'), { env })).address).toBe(fast.address);
  });

  test('that asks for more work than any is refused before it is done', async () => {
    const pbkdf2 = (c: number) => (keystore: Keystore) => {
      const { salt } = keystore.Crypto.kdfparams;
      keystore.Crypto.kdf = 'pbkdf2';
      keystore.Crypto.kdfparams = { c, dklen: 32, prf: 'hmac-sha256', salt };
    };
    const scrypt = (changes: object) => (keystore: Keystore) => {
      Object.assign(keystore.Crypto.kdfparams, changes);
    };
    const changes = [
      pbkdf2(2 ** 31 - 1),
      scrypt({ p: 2 ** 26 }),
      scrypt({ n: 2 ** 30 }),
      scrypt({ r: 2 ** 28 }),
    ];
    for (const [index, change] of changes.entries()) {
      const began = performance.now();
      await expect(loadIdentity(await altered(`slow-${index}`, change), { env })).rejects.toMatchObject({
        code: 'KEYSTORE_INVALID',
      });
      expect(performance.now() - began).toBeLessThan(10_000);
    }
  });
});
