import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BACKEND_NAMES, EMBEDDED_BACKENDS } from '../../src/backends/index.ts';
import { createKeystore, inspectKeystore, loadIdentity } from '../../src/cli/keystore.ts';
import { COMMANDS, loadCommand } from '../../src/cli/registry.ts';
import { packageRoot, packageVersion } from '../../src/storage/package-root.ts';

const main = join(packageRoot(), 'src', 'cli', 'main.ts');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'grail-cli-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function grail(args: string[], env: Record<string, string> = {}) {
  const { GRAIL_PASSWORD: _unset, ...inherited } = process.env;
  const result = spawnSync(process.execPath, [main, ...args], {
    encoding: 'utf8',
    env: { ...inherited, ...env },
  });
  return { code: result.status, out: result.stdout, err: result.stderr };
}

describe('grail', () => {
  test('--version prints the version and nothing else', () => {
    expect(grail(['--version'])).toEqual({ code: 0, out: `${packageVersion()}\n`, err: '' });
  });

  test('--help names every command', () => {
    const { code, out } = grail(['--help']);
    expect(code).toBe(0);
    for (const { name } of COMMANDS) expect(out).toMatch(new RegExp(`^  ${name} `, 'm'));
  });

  test('every command of the table loads, is the one it is listed as, and has help', async () => {
    for (const { name, summary } of COMMANDS) {
      const command = await loadCommand(name);
      expect({ name: command.name, summary: command.summary }).toEqual({ name, summary });
      expect(grail([name, '--help']).out).toContain(`grail ${name}`);
    }
  });

  test('nothing at all is wrong usage, with the help on stderr', () => {
    const { code, out, err } = grail([]);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain('grail COMMAND');
  });

  test.each([
    [['mine'], 'there is no command mine'],
    [['--frobnicate'], 'there is no flag --frobnicate'],
    [['doctor', '--frobnicate'], 'there is no flag --frobnicate'],
    [['keys', 'old', '--keystore', 'x'], 'ACTION is one of new, show'],
    [['keys', 'new'], '--keystore is missing'],
  ])('%j is USAGE with a sentence and exit code 2', (args, sentence) => {
    const { code, out, err } = grail(args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(/^USAGE: /);
    expect(err).toContain(sentence);
  });

  test('a failure is one coded line on stderr, and with --json an object at the end of stdout', () => {
    const missing = join(folder, 'missing.json');
    const { code, out, err } = grail(['keys', 'show', '--keystore', missing, '--json']);
    expect(code).toBe(1);
    expect(err).toMatch(/^KEYSTORE_INVALID: /);
    expect(JSON.parse(out)).toMatchObject({
      error: { code: 'KEYSTORE_INVALID', details: { file: missing } },
    });
  });

  test('doctor reports which backends are exact, and what each does a second', () => {
    const { code, out } = grail(['doctor', '--json']);
    expect(code).toBe(0);
    const report = JSON.parse(out);
    expect(report).toMatchObject({ ready: true, runtime: { node: process.versions.node } });
    for (const backend of EMBEDDED_BACKENDS) {
      expect(report.backends).toContainEqual({
        backend,
        found: true,
        exact: true,
        device: expect.stringContaining('processor'),
        emulated: false,
        rates: expect.arrayContaining([{ batch: 64, stepsPerSecond: expect.any(Number) }]),
        residentBytes: expect.any(Number),
        code: null,
        message: 'exact',
      });
    }
    expect(report.backends.map(({ backend }: { backend: string }) => backend)).toEqual(BACKEND_NAMES);
  });
});

describe('Ctrl-C', () => {
  const probe = join(packageRoot(), 'test', 'integration', 'cli-probe.ts');

  async function interrupt(mode: string, signals: { signal: NodeJS.Signals; afterMs: number }[]) {
    const child = spawn(process.execPath, [probe, mode], { stdio: ['ignore', 'pipe', 'inherit'] });
    const closed = once(child, 'close');
    let out = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    await once(child.stdout, 'data');
    for (const { signal, afterMs } of signals) {
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      child.kill(signal);
    }
    const [code] = await closed;
    return { code, out };
  }

  test('stops cleanly, with exit code 130, also when the same Ctrl-C arrives twice', async () => {
    const twice = [
      { signal: 'SIGINT', afterMs: 0 },
      { signal: 'SIGINT', afterMs: 20 },
    ] as const;
    expect(await interrupt('clean', [...twice])).toEqual({ code: 130, out: 'ready\ncleaned up\n' });
  });

  test('a second Ctrl-C forces what does not stop', async () => {
    const twice = [
      { signal: 'SIGINT', afterMs: 0 },
      { signal: 'SIGINT', afterMs: 700 },
    ] as const;
    expect(await interrupt('stuck', [...twice])).toEqual({ code: 130, out: 'ready\n' });
  });

  test('SIGTERM stops as cleanly, with exit code 143', async () => {
    const result = await interrupt('clean', [{ signal: 'SIGTERM', afterMs: 0 }]);
    expect(result).toEqual({ code: 143, out: 'ready\ncleaned up\n' });
  });
});

describe('keys', () => {
  const password = { GRAIL_PASSWORD: 'correct horse' };

  test('a new key opens with its password, from the environment or a file, and shows the same address', () => {
    const file = join(folder, 'round-trip.json');
    const made = grail(['keys', 'new', '--keystore', file, '--insecure-fast'], password);
    expect(made.code).toBe(0);
    const address = made.out.trim();
    expect(address).toMatch(/^0x[0-9a-f]{40}$/);
    expect(statSync(file).mode & 0o077).toBe(0);
    expect(readFileSync(file, 'utf8')).not.toContain('correct horse');
    expect(grail(['keys', 'show', '--keystore', file], password).out.trim()).toBe(address);
    const passwordFile = join(folder, 'password');
    writeFileSync(passwordFile, 'correct horse\n');
    const shown = grail(['keys', 'show', '--keystore', file, '--password-file', passwordFile, '--json']);
    expect(JSON.parse(shown.out)).toEqual({ address, keystore: file, opened: true });
    const unopened = grail(['keys', 'show', '--keystore', file, '--json']);
    expect(JSON.parse(unopened.out)).toEqual({ address, keystore: file, opened: false });
  });

  test('a wrong password is KEYSTORE_INVALID', async () => {
    const file = join(folder, 'wrong.json');
    await createKeystore(file, 'right', 'fast');
    const { code, err } = grail(['keys', 'show', '--keystore', file], { GRAIL_PASSWORD: 'wrong' });
    expect(code).toBe(1);
    expect(err).toMatch(/^KEYSTORE_INVALID: the password does not open /);
  });

  test('a key is never overwritten', async () => {
    const file = join(folder, 'kept.json');
    const { address } = await createKeystore(file, 'a', 'fast');
    const { code, err } = grail(['keys', 'new', '--keystore', file, '--insecure-fast'], password);
    expect(code).toBe(2);
    expect(err).toContain('never overwritten');
    expect(inspectKeystore(file).address).toBe(address);
  });

  test('without terminal, variable or file there is no password', () => {
    const { code, err } = grail(['keys', 'new', '--keystore', join(folder, 'none.json')]);
    expect(code).toBe(2);
    expect(err).toContain('GRAIL_PASSWORD');
  });

  test.each([
    ['nothing', ''],
    ['text', 'hello'],
    ['null', 'null'],
    ['another document', '{"version":3}'],
    ['a keystore without its secret', `{"version":3,"address":"${'11'.repeat(20)}","crypto":{}}`],
    [
      'scrypt of a terabyte',
      JSON.stringify({
        version: 3,
        address: '11'.repeat(20),
        crypto: {
          cipher: 'aes-128-ctr',
          cipherparams: { iv: '00'.repeat(16) },
          ciphertext: '00'.repeat(32),
          kdf: 'scrypt',
          kdfparams: { salt: '00'.repeat(32), n: 2 ** 30, r: 8, p: 1, dklen: 32 },
          mac: '00'.repeat(32),
        },
      }),
    ],
  ])('a file with %s is KEYSTORE_INVALID', async (_name, text) => {
    const file = join(folder, 'malformed.json');
    writeFileSync(file, text);
    await expect(loadIdentity(file, { env: password })).rejects.toMatchObject({ code: 'KEYSTORE_INVALID' });
  });

  test('a keystore of standard strength opens, and does not claim to be fast', async () => {
    const file = join(folder, 'standard.json');
    const made = await createKeystore(file, 'a', 'standard');
    expect(inspectKeystore(file)).toEqual({ address: made.address, fast: false });
    const opened = await loadIdentity(file, { env: { GRAIL_PASSWORD: 'a' } });
    const digest = new Uint8Array(32).fill(5);
    expect(opened.sign(digest)).toBe(made.sign(digest));
  });
});
