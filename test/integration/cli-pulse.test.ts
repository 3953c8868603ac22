import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { diff } from '../../src/cli/pulse-diff.ts';
import { columns } from '../../src/cli/text.ts';
import { concat } from '../../src/protocol/bytes.ts';
import { encodeAnchor, encodePatch } from '../../src/pulse/index.ts';
import { lockFile } from '../../src/storage/lock.ts';
import { packageRoot } from '../../src/storage/package-root.ts';
import { SafetensorsSource } from '../../src/storage/safetensors/index.ts';
import { trainingRun, writeShards } from '../helpers/checkpoints.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { printedJson, runHere } from '../helpers/run-here.ts';
import { type FileTensor, safetensors } from '../helpers/safetensors.ts';

const STEPS = 5;
const states = trainingRun(STEPS + 1);

let root: string;
let folder: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'grail-pulse-'));
});
beforeEach(() => {
  folder = mkdtempSync(join(root, 'case-'));
  for (const [i, state] of states.entries()) save(`${i}.safetensors`, state);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const at = (name: string) => join(folder, name);
const save = (name: string, tensors: readonly FileTensor[], metadata?: Record<string, string>) =>
  writeFileSync(at(name), safetensors(tensors, metadata));
const bytesOf = (name: string) => readFileSync(at(name));
const same = (a: string, b: string) => bytesOf(a).equals(bytesOf(b));

/** Runs `grail pulse …`; names without a dash in front are files of the case's folder. */
async function pulse(action: string, ...args: string[]) {
  const paths = args.map((arg) => (arg.startsWith('-') || arg.startsWith('0x') ? arg : at(arg)));
  return runHere(['pulse', action, ...paths, '--json']);
}

/** The same, expected to succeed: what it printed. A slow machine shows how far it is. */
async function done(action: string, ...args: string[]) {
  const printed = await pulse(action, ...args);
  expect(printed.err.filter((line) => !/^\w+ \d+% {2}/.test(line))).toEqual([]);
  expect(printed.code).toBe(0);
  return printedJson(printed);
}

/** The same, expected to fail with a code and to leave nothing new: its sentence. */
async function refused(code: string, action: string, ...args: string[]): Promise<string> {
  const before = files();
  const printed = await pulse(action, ...args);
  expect(printed.code).toBe(code === 'USAGE' ? 2 : 1);
  const { error } = printedJson(printed);
  expect(error.code, error.message).toBe(code);
  expect(files()).toEqual(before);
  return error.message;
}

/** Files of the case, without locks, which stay. */
const files = () => readdirSync(folder).filter((name) => !name.endsWith('.lock'));

/** The patch to state i of the chain, in this thread. */
function step(i: number): void {
  const [base, target] = [at(`${i - 1}.safetensors`), at(`${i}.safetensors`)];
  diff(
    { base, target, out: at(`${i}.patch`), history: at('sender'), overwrite: false },
    { stop() {}, tell() {} },
  );
}

/** Patches with history from state 0 to the last, and the history that they leave. */
function chain(steps = STEPS): void {
  for (let i = 1; i <= steps; i++) step(i);
}

describe('grail pulse diff and apply', () => {
  test('give the new file back, byte for byte, and leave nothing else', async () => {
    const before = files();
    const made = await done('diff', '0.safetensors', '1.safetensors', '-o', 'p');
    expect(made.bytes).toBe(bytesOf('p').length);
    expect(made.bytes).toBeLessThan(bytesOf('1.safetensors').length / 20);
    const applied = await done('apply', '0.safetensors', 'p', '-o', 'out');
    expect(same('out', '1.safetensors')).toBe(true);
    expect(applied).toMatchObject({ baseId: made.baseId, targetId: made.targetId, changed: made.changed });
    expect(await done('id', 'out')).toMatchObject({ id: made.targetId });
    expect(files()).toEqual([...before, 'out', 'p'].sort());
  });

  test('carry metadata, padding and order where the new file has others', async () => {
    save('new', [...states[1]!].reverse(), { format: 'pt', step: '1' });
    expect(await done('diff', '0.safetensors', 'new', '-o', 'p')).toMatchObject({ carriesLayout: true });
    await done('apply', '0.safetensors', 'p', '-o', 'out');
    expect(same('out', 'new')).toBe(true);
  });

  test('carry nothing where they are the same', async () => {
    expect(await done('diff', '0.safetensors', '0.safetensors', '-o', 'p')).toMatchObject({
      carriesLayout: false,
      changed: 0,
    });
    await done('apply', '0.safetensors', 'p', '-o', 'out');
    expect(same('out', '0.safetensors')).toBe(true);
  });

  test('replace a file, also the base itself', async () => {
    await done('diff', '0.safetensors', '1.safetensors', '--out', 'p');
    await done('apply', '0.safetensors', 'p', '--out', '0.safetensors');
    expect(same('0.safetensors', '1.safetensors')).toBe(true);
  });

  test('take folders of shards, and a change from a file to a folder', async () => {
    writeShards(at('shards-0'), states[0]!);
    writeShards(at('shards-1'), states[1]!);
    const sharded = async (base: string, out: string) => {
      await done('diff', base, 'shards-1', '-o', 'p');
      await done('apply', base, 'p', '-o', out);
      const names = readdirSync(at('shards-1'));
      expect(readdirSync(at(out))).toEqual(names);
      for (const name of names) expect(same(join(out, name), join('shards-1', name))).toBe(true);
    };
    await sharded('shards-0', 'out');
    await sharded('0.safetensors', 'out-2');
    expect(await refused('USAGE', 'apply', '0.safetensors', 'p', '-o', 'out')).toContain('new folder');
    await done('diff', 'shards-0', '1.safetensors', '-o', 'p');
    await done('apply', 'shards-0', 'p', '-o', 'single');
    expect(same('single', '1.safetensors')).toBe(true);
  });

  test('take a patch that the library made, without a section', async () => {
    const [base, target] = ['0.safetensors', '1.safetensors'].map((name) => new SafetensorsSource(at(name)));
    const chunks: Uint8Array[] = [];
    const { header } = encodePatch({
      base: base!,
      target: target!,
      write: (chunk) => chunks.push(chunk.slice()),
    });
    writeFileSync(at('p'), concat(header, ...chunks));
    base!.close();
    target!.close();
    await done('apply', '0.safetensors', 'p', '-o', 'out');
    expect(same('out', '1.safetensors')).toBe(true);
    await done('diff', '0.safetensors', '1.safetensors', '-o', 'q');
    expect(same('p', 'q')).toBe(true);
  });

  test('keep the header of a base that has the right tensors in another file', async () => {
    await done('diff', '0.safetensors', '1.safetensors', '-o', 'p');
    save('base', states[0]!, { format: 'pt' });
    save('new', states[1]!, { format: 'pt' });
    await done('apply', 'base', 'p', '-o', 'out');
    expect(same('out', 'new')).toBe(true);
  });

  test('apply an overwriting patch again, and to a base that has some of its changes', async () => {
    await done('diff', '0.safetensors', '1.safetensors', '-o', 'p', '--overwrite');
    const half = states[0]!.map((tensor, i) => (i % 2 === 0 ? tensor : states[1]![i]!));
    save('half', half);
    for (const base of ['0.safetensors', '1.safetensors', 'half']) {
      await done('apply', base, 'p', '-o', 'out');
      expect(same('out', '1.safetensors')).toBe(true);
    }
    await refused('PATCH_TARGET_MISMATCH', 'apply', '3.safetensors', 'p', '-o', 'out');
  });

  test('overwrite without history, and begin it anew', async () => {
    chain(2);
    const args = ['1.safetensors', '2.safetensors', '-o', 'again', '--overwrite', '--history', 'sender'];
    expect(await done('diff', ...args)).toMatchObject({ historySteps: 0 });
    expect(await done('inspect', 'again')).toMatchObject({ overwrite: true, history: null });
    await done('apply', '1.safetensors', 'again', '-o', 'out', '--history', 'receiver');
    expect(same('out', '2.safetensors')).toBe(true);
    await done('diff', 'out', '3.safetensors', '-o', '3.patch', '--history', 'sender');
    await done('apply', 'out', '3.patch', '-o', 'out', '--history', 'receiver');
    expect(same('out', '3.safetensors')).toBe(true);
  });
});

describe('a history', () => {
  test('goes with a chain of patches, the same at sender and receiver', async () => {
    chain();
    copyFileSync(at('0.safetensors'), at('out'));
    for (let i = 1; i <= STEPS; i++) {
      const applied = await done('apply', 'out', `${i}.patch`, '-o', 'out', '--history', 'receiver');
      expect(applied.historySteps).toBe(i);
      expect(same('out', `${i}.safetensors`)).toBe(true);
    }
    expect(same('sender', 'receiver')).toBe(true);
    expect(files().filter((name) => name.includes('next') || name.includes('tmp'))).toEqual([]);
  });

  test('is needed by its patches, but the first', async () => {
    chain(2);
    await done('apply', '0.safetensors', '1.patch', '-o', 'out');
    expect(await refused('PATCH_HISTORY_MISMATCH', 'apply', 'out', '2.patch', '-o', 'out')).toContain(
      'none was given',
    );
    const fresh = ['out', '2.patch', '-o', 'out', '--history', 'new'];
    expect(await refused('PATCH_HISTORY_MISMATCH', 'apply', ...fresh)).toContain('this one has 0');
    expect(same('out', '1.safetensors')).toBe(true);
  });

  test('that is ahead of the base, or behind it, makes no patch', async () => {
    chain(2);
    const history = bytesOf('sender');
    const again = ['1.safetensors', '2.safetensors', '-o', 'p', '--history', 'sender'];
    expect(await refused('PATCH_HISTORY_MISMATCH', 'diff', ...again)).toContain('delete it');
    const skip = ['3.safetensors', '4.safetensors', '-o', 'p', '--history', 'sender'];
    await refused('PATCH_HISTORY_MISMATCH', 'diff', ...skip);
    expect(bytesOf('sender').equals(history)).toBe(true);
  });

  test('that is deleted at the sender begins anew, and receivers follow by themselves', async () => {
    chain(2);
    await done('apply', '0.safetensors', '1.patch', '-o', 'out', '--history', 'receiver');
    await done('apply', 'out', '2.patch', '-o', 'out', '--history', 'receiver');
    rmSync(at('sender'));
    await done('diff', '2.safetensors', '3.safetensors', '-o', '3.patch', '--history', 'sender');
    expect(await done('inspect', '3.patch')).toMatchObject({ history: { steps: 0 } });
    await done('apply', 'out', '3.patch', '-o', 'out', '--history', 'receiver');
    expect(same('out', '3.safetensors')).toBe(true);
    expect(same('sender', 'receiver')).toBe(true);
  });

  test('that is damaged anywhere is noticed, and nothing is written', async () => {
    chain(1);
    const sound = bytesOf('sender');
    const places = [0, 9, 20, 40, 70, 100, 110, 112, sound.length >> 1, sound.length - 1];
    const damaged = places.map((place) => {
      const bytes = Buffer.from(sound);
      bytes[place]! ^= 1;
      return bytes;
    });
    for (const bytes of [...damaged, sound.subarray(0, -1), sound.subarray(0, 50)]) {
      writeFileSync(at('sender'), bytes);
      const before = files();
      const { message } = await expectCode('PATCH_HISTORY_MISMATCH', () => step(2));
      expect(message).toContain('is damaged');
      expect(files()).toEqual(before);
    }
    const args = ['1.safetensors', '2.safetensors', '-o', 'p', '--history', 'sender'];
    expect(await refused('PATCH_HISTORY_MISMATCH', 'diff', ...args)).toContain('is damaged');
  });

  test('of other tensors is refused', async () => {
    chain(1);
    const fewer = (i: number) => states[i]!.slice(1);
    save('a', fewer(1));
    save('b', fewer(2));
    const args = ['a', 'b', '-o', 'p', '--history', 'sender'];
    expect(await refused('PATCH_HISTORY_MISMATCH', 'diff', ...args)).toContain('other names');
  });

  test('that a crash left beside the old one, after the output was written, is taken up', async () => {
    chain(1);
    copyFileSync(at('sender'), at('before'));
    await done('diff', '1.safetensors', '2.safetensors', '-o', '2.patch', '--history', 'sender');
    copyFileSync(at('sender'), at('sender.next'));
    copyFileSync(at('before'), at('sender'));
    await done('diff', '2.safetensors', '3.safetensors', '-o', '3.patch', '--history', 'sender');
    expect(await done('inspect', '3.patch')).toMatchObject({ history: { steps: 2 } });
    expect(files()).not.toContain('sender.next');
  });

  test('that a crash left before the output was written is forgotten', async () => {
    chain(1);
    copyFileSync(at('sender'), at('before'));
    await done('diff', '1.safetensors', '2.safetensors', '-o', '2.patch', '--history', 'sender');
    copyFileSync(at('sender'), at('sender.next'));
    copyFileSync(at('before'), at('sender'));
    await done('diff', '1.safetensors', '2.safetensors', '-o', 'again.patch', '--history', 'sender');
    expect(same('again.patch', '2.patch')).toBe(true);
    expect(files()).not.toContain('sender.next');
  });

  test('is used by one process at a time', async () => {
    const lock = lockFile(at('sender.lock'), 'the history');
    const args = ['0.safetensors', '1.safetensors', '-o', 'p', '--history', 'sender'];
    await refused('ALREADY_RUNNING', 'diff', ...args);
    lock.release();
  });
});

describe('grail pulse verify', () => {
  test('applies without writing, and compares', async () => {
    chain(2);
    const before = files();
    expect(await done('verify', '0.safetensors', '1.patch')).toMatchObject({ compared: false });
    const args = ['0.safetensors', '1.patch', '--new', '1.safetensors'];
    const verified = await done('verify', ...args);
    expect(verified).toMatchObject({ compared: true });
    await done('verify', ...args, '--target', verified.targetId);
    await done('apply', '0.safetensors', '1.patch', '-o', 'out', '--history', 'receiver');
    const history = bytesOf('receiver');
    const second = ['out', '2.patch', '--new', '2.safetensors', '--history', 'receiver'];
    expect(await done('verify', ...second)).toMatchObject({ compared: true, historySteps: 2 });
    expect(bytesOf('receiver').equals(history)).toBe(true);
    expect(files()).toEqual([...before, 'out', 'receiver'].sort());
  });

  test('says how the patch leads elsewhere', async () => {
    await done('diff', '0.safetensors', '1.safetensors', '-o', 'p');
    const verify = (...args: string[]) =>
      refused('PATCH_TARGET_MISMATCH', 'verify', '0.safetensors', 'p', ...args);
    expect(await verify('--new', '2.safetensors')).toContain('tensor model.layers.0.weight differs');
    save('meta', states[1]!, { format: 'pt' });
    expect(await verify('--new', 'meta')).toContain('its header differs');
    save('fewer', states[1]!.slice(1));
    expect(await verify('--new', 'fewer')).toContain('tensor model.layers.1.weight');
    await verify('--target', `0x${'00'.repeat(32)}`);
  });
});

describe('grail pulse merge', () => {
  test('makes one patch, without history, of patches with history', async () => {
    chain();
    const patches = Array.from({ length: STEPS }, (_, i) => `${i + 1}.patch`);
    const before = files();
    await done('merge', '0.safetensors', ...patches, '-o', 'merged');
    expect(files()).toEqual([...before, 'merged'].sort());
    await done('apply', '0.safetensors', 'merged', '-o', 'out');
    expect(same('out', `${STEPS}.safetensors`)).toBe(true);
    await done('diff', '0.safetensors', `${STEPS}.safetensors`, '-o', 'direct');
    expect(same('merged', 'direct')).toBe(true);
  });

  test('starts within a chain with the history there, which stays as it is', async () => {
    chain(2);
    copyFileSync(at('sender'), at('at-2'));
    await done('diff', '2.safetensors', '3.safetensors', '-o', '3.patch', '--history', 'sender');
    await refused('PATCH_HISTORY_MISMATCH', 'merge', '2.safetensors', '3.patch', '-o', 'merged');
    const history = bytesOf('at-2');
    await done('merge', '2.safetensors', '3.patch', '-o', 'merged', '--history', 'at-2');
    expect(bytesOf('at-2').equals(history)).toBe(true);
    await done('apply', '2.safetensors', 'merged', '-o', 'out');
    expect(same('out', '3.safetensors')).toBe(true);
  });

  test('refuses patches that do not follow each other', async () => {
    chain(3);
    const args = ['0.safetensors', '1.patch', '3.patch', '-o', 'merged'];
    await refused('PATCH_HISTORY_MISMATCH', 'merge', ...args);
  });
});

describe('grail pulse anchor', () => {
  test('needs no base, and begins the history anew on both sides', async () => {
    chain(2);
    const made = await done('anchor', '2.safetensors', '-o', 'anchor', '--history', 'sender');
    expect(made.bytes).toBeLessThan(bytesOf('2.safetensors').length);
    await done('verify', 'anchor', '--new', '2.safetensors');
    const applied = await done('apply', 'anchor', '-o', 'out', '--history', 'receiver');
    expect(applied).toMatchObject({ kind: 'anchor', baseId: null, targetId: made.targetId, changed: null });
    expect(same('out', '2.safetensors')).toBe(true);
    expect(same('sender', 'receiver')).toBe(true);
    await done('diff', '2.safetensors', '3.safetensors', '-o', '3.patch', '--history', 'sender');
    await done('apply', 'out', '3.patch', '-o', 'out', '--history', 'receiver');
    expect(same('out', '3.safetensors')).toBe(true);
  });

  test('holds folders', async () => {
    writeShards(at('shards'), states[0]!);
    await done('anchor', 'shards', '-o', 'anchor');
    await done('apply', 'anchor', '-o', 'out');
    for (const name of readdirSync(at('shards')))
      expect(same(join('out', name), join('shards', name))).toBe(true);
  });

  test('of the library, which knows of no files, gives a file with the same id', async () => {
    const target = new SafetensorsSource(at('0.safetensors'));
    const chunks: Uint8Array[] = [];
    const { header } = encodeAnchor({ target, write: (chunk) => chunks.push(chunk.slice()) });
    target.close();
    writeFileSync(at('anchor'), concat(header, ...chunks));
    const { targetId } = await done('apply', 'anchor', '-o', 'out');
    expect(await done('id', '0.safetensors')).toMatchObject({ id: targetId });
    expect(await done('id', 'out')).toMatchObject({ id: targetId });
  });
});

describe('nothing is written when', () => {
  test('the base is another one', async () => {
    chain(2);
    await refused('PATCH_BASE_MISMATCH', 'apply', '2.safetensors', '1.patch', '-o', 'out');
    writeFileSync(at('out'), 'before');
    await refused(
      'PATCH_BASE_MISMATCH',
      'apply',
      '3.safetensors',
      '1.patch',
      '-o',
      'out',
      '--history',
      'receiver',
    );
    expect(bytesOf('out').toString()).toBe('before');
    save('fewer', states[0]!.slice(1));
    expect(await refused('PATCH_BASE_MISMATCH', 'apply', 'fewer', '1.patch', '-o', 'out')).toContain(
      'is gone',
    );
  });

  test('names, shapes or types differ: the first difference is named, and an anchor advised', async () => {
    const refusal = (name: string) => refused('TENSORS_INVALID', 'diff', '0.safetensors', name, '-o', 'p');
    const [first, ...rest] = states[1]!;
    save('fewer', rest);
    expect(await refusal('fewer')).toContain(
      'tensor model.layers.1.weight (bf16 [70, 1000]) is gone; publish an anchor',
    );
    save('renamed', [{ ...first!, name: 'a' }, ...rest]);
    expect(await refusal('renamed')).toContain('tensor a (bf16 [70, 1000]) was added');
    save('reshaped', [{ ...first!, shape: [1000, 70] }, ...rest]);
    expect(await refusal('reshaped')).toContain('became model.layers.1.weight (bf16 [1000, 70])');
    save('typed', [{ ...first!, dtype: 'F16' }, ...rest]);
    expect(await refusal('typed')).toContain('became model.layers.1.weight (f16 [70, 1000])');
  });

  test('a file is missing, or no checkpoint or patch', async () => {
    await refused('NOT_FOUND', 'diff', '0.safetensors', 'missing', '-o', 'p');
    await refused('NOT_FOUND', 'apply', '0.safetensors', 'missing', '-o', 'out');
    await refused('PATCH_FORMAT', 'apply', '0.safetensors', '1.safetensors', '-o', 'out');
    await refused('PATCH_FORMAT', 'inspect', '1.safetensors');
    writeFileSync(at('empty'), '');
    await refused('PATCH_FORMAT', 'inspect', 'empty');
    await refused('TENSORS_INVALID', 'id', 'empty');
  });

  test('the output’s folder is missing, or it is a folder', async () => {
    const away = join('missing', 'p');
    expect(await refused('NOT_FOUND', 'diff', '0.safetensors', '1.safetensors', '-o', away)).toContain(
      'make it first',
    );
    await done('diff', '0.safetensors', '1.safetensors', '-o', 'p');
    await refused('NOT_FOUND', 'apply', '0.safetensors', 'p', '-o', away);
    const history = ['-o', 'out', '--history', away];
    await refused('NOT_FOUND', 'apply', '0.safetensors', 'p', ...history);
    mkdirSync(at('taken'));
    await refused('USAGE', 'diff', '0.safetensors', '1.safetensors', '-o', 'taken');
    await refused('USAGE', 'apply', '0.safetensors', 'p', '-o', 'taken');
  });

  test.each([
    [['diff', '0.safetensors', '1.safetensors'], 'diff needs -o FILE'],
    [['diff', '0.safetensors', '-o', 'p'], 'diff takes 2 files, not 1'],
    [['apply', '-o', 'p'], 'apply takes 1 to 2 files, not 0'],
    [['inspect', 'p', '-o', 'x'], 'inspect takes no --out'],
    [['id', 'p', '--history', 'x'], 'id takes no --history'],
    [['apply', 'a', 'b', '-o', 'c', '--overwrite'], 'apply takes no --overwrite'],
    [['apply', 'a', 'b', '-o', 'c', '--target', '0x12'], '--target'],
  ])('the command is %j', async ([action, ...args], sentence) => {
    expect(await refused('USAGE', action!, ...args)).toContain(sentence);
  });

  test('a patch comes without its base', async () => {
    await done('diff', '0.safetensors', '1.safetensors', '-o', 'p');
    await refused('USAGE', 'apply', 'p', '-o', 'out');
  });
});

test('what is printed fits 110 columns and says what was saved', async () => {
  const shown = async (...args: string[]) => {
    const { code, out } = await runHere(['pulse', ...args]);
    expect(code).toBe(0);
    for (const line of out) expect(columns(line.replaceAll(`${folder}/`, ''))).toBeLessThanOrEqual(110);
    return out.join('\n');
  };
  expect(await shown('diff', at('0.safetensors'), at('1.safetensors'), '-o', at('p'))).toMatch(
    /p: \d+ B for [\d.]+ kB, [\d.]+ times smaller$/m,
  );
  expect(await shown('apply', at('0.safetensors'), at('p'), '-o', at('out'))).toMatch(
    /^to +0x[0-9a-f]{64}$/m,
  );
  expect(await shown('inspect', at('p'))).toMatch(/^history +needs none$/m);
  expect(await shown('id', at('out'))).toMatch(/^0x[0-9a-f]{64}$/);
  expect(await shown('--help')).toContain('grail pulse merge BASE PATCH…');
});

describe('Ctrl-C', () => {
  test('removes what was begun and leaves what was there', async () => {
    // Noise of 96 MB: seconds of work.
    const bytes = new Uint8Array(48_000_000);
    for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 2_654_435_761) >>> 11;
    const big = (name: string) => ({ name, dtype: 'BF16', shape: [bytes.length / 2], bytes });
    save('big', [big('a'), big('b')]);
    writeFileSync(at('out'), 'before');
    const before = files();
    const main = join(packageRoot(), 'src', 'cli', 'main.ts');
    const child = spawn(process.execPath, [main, 'pulse', 'anchor', at('big'), '-o', at('out')]);
    let err = '';
    child.stderr.on('data', (text) => {
      err += text;
    });
    const closed = once(child, 'close');
    while (files().length === before.length && child.exitCode === null) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    child.kill('SIGINT');
    expect(await closed).toEqual([130, null]);
    expect(err).toBe('stopped\n');
    expect(files()).toEqual(before);
    expect(bytesOf('out').toString()).toBe('before');
  });
});
