import { chmodSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runtimeFolder } from '../../src/cli/miner-lock.ts';
import { expectCode } from '../helpers/expect-code.ts';

describe('the folder for locks', () => {
  const { TMPDIR } = process.env;
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'grail-lock-'));
    process.env.TMPDIR = folder;
  });

  afterEach(() => {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
    rmSync(folder, { recursive: true, force: true });
  });

  test('is one of the user’s own, that nobody else may write to', () => {
    const made = runtimeFolder({});
    expect(made).toBe(join(folder, `grail-${process.getuid?.()}`));
    expect(statSync(made).mode & 0o777).toBe(0o700);
    expect(runtimeFolder({ XDG_RUNTIME_DIR: '/run/user/7' })).toBe('/run/user/7/grail');
  });

  test('is refused when others may write to it, or when it is a link', async () => {
    const made = runtimeFolder({});
    chmodSync(made, 0o777);
    await expectCode('STORAGE_UNAVAILABLE', () => runtimeFolder({}));
    rmSync(made, { recursive: true });
    symlinkSync(folder, made);
    await expectCode('STORAGE_UNAVAILABLE', () => runtimeFolder({}));
  });
});
