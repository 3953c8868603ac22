import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runTask, type Task } from '../../src/cli/pulse-task.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { encodeHeader } from '../../src/pulse/format.ts';
import { trainingRun } from '../helpers/checkpoints.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { safetensors } from '../helpers/safetensors.ts';

const work = { stop() {}, tell() {} };
const REFUSALS = [
  'PATCH_FORMAT',
  'PATCH_BASE_MISMATCH',
  'PATCH_TARGET_MISMATCH',
  'PATCH_HISTORY_MISMATCH',
  'TENSORS_INVALID',
  'USAGE',
];

let folder: string;
const at = (name: string) => join(folder, name);
const run = (task: Task) => runTask(task, work);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'grail-pulse-damage-'));
  // The small tensors alone: a patch of some hundred bytes, each of which is tried.
  const [before, after] = trainingRun(2).map((state) => state.slice(1));
  writeFileSync(at('base'), safetensors(before!));
  writeFileSync(at('new'), safetensors(after!, { step: '1' }));
  const common = { history: null, overwrite: false };
  run({ action: 'diff', base: at('base'), target: at('new'), out: at('patch'), ...common });
  run({
    action: 'diff',
    base: at('base'),
    target: at('new'),
    out: at('chain'),
    ...common,
    history: at('history'),
  });
  run({ action: 'diff', base: at('base'), target: at('new'), out: at('over'), ...common, overwrite: true });
  run({ action: 'anchor', target: at('new'), out: at('anchor'), history: null });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Applies bytes as a patch: `right` when they lead to the new file; a code when they are refused and nothing was written. */
function attempt(bytes: Uint8Array): string {
  writeFileSync(at('damaged'), bytes);
  const before = readdirSync(folder);
  try {
    const options = { history: null, target: null };
    run({ action: 'apply', base: at('base'), patch: at('damaged'), out: at('out'), ...options });
  } catch (error) {
    if (!(error instanceof GrailError)) throw error;
    expect(readdirSync(folder)).toEqual(before);
    return error.code;
  }
  const right = readFileSync(at('out')).equals(readFileSync(at('new')));
  rmSync(at('out'));
  return right ? 'right' : 'wrong';
}

describe.each(['patch', 'chain', 'over', 'anchor'])('%s', (kind) => {
  test('is applied as it is', () => {
    expect(attempt(readFileSync(at(kind)))).toBe('right');
  });

  test('with a bit changed in any byte is refused', () => {
    const sound = readFileSync(at(kind));
    const step = Math.max(1, Math.floor(sound.length / 400));
    for (let place = 0; place < sound.length; place += place < 250 || place > sound.length - 300 ? 1 : step) {
      const damaged = Buffer.from(sound);
      damaged[place]! ^= 1 << (place % 8);
      // An overwriting patch takes any base that its values make the target, whatever it says of its base.
      const allowed = kind === 'over' && place >= 7 && place < 39 ? ['right'] : REFUSALS;
      expect(allowed, `byte ${place} of ${sound.length}`).toContain(attempt(damaged));
    }
  });

  test('cut short anywhere is refused', () => {
    const sound = readFileSync(at(kind));
    const step = Math.max(1, Math.floor(sound.length / 300));
    for (let length = 0; length < sound.length; length += step) {
      expect(REFUSALS, `${length} of ${sound.length}`).toContain(attempt(sound.subarray(0, length)));
    }
  });

  test('with bytes behind it is refused', () => {
    expect(REFUSALS).toContain(attempt(Buffer.concat([readFileSync(at(kind)), Buffer.alloc(1)])));
  });
});

test('a section of another patch is refused', () => {
  const options = { history: null, overwrite: false };
  writeFileSync(at('other'), safetensors(trainingRun(3)[2]!.slice(1), { step: '2' }));
  run({ action: 'diff', base: at('base'), target: at('other'), out: at('other-patch'), ...options });
  const [one, other] = ['patch', 'other-patch'].map((name) => readFileSync(at(name)));
  const footer = 64;
  const section = (patch: Buffer) => patch.length - footer - patch.readUInt32LE(patch.length - footer);
  const tail = 24;
  const exchanged = Buffer.concat([
    one!.subarray(0, section(one!)),
    other!.subarray(section(other!), -tail),
    one!.subarray(-tail),
  ]);
  expect(exchanged.equals(one!)).toBe(false);
  expect(attempt(exchanged)).toBe('PATCH_FORMAT');
});

test('an anchor that promises a tensor that no memory holds is refused before it is unpacked', async () => {
  const specs = [{ name: 't', dtype: 'f32', shape: [2 ** 40] }] as const;
  const header = encodeHeader({ kind: 'anchor', baseId: null, targetId: new Uint8Array(32), specs });
  writeFileSync(at('bomb'), header);
  const task = {
    action: 'apply',
    base: null,
    patch: at('bomb'),
    out: at('out'),
    history: null,
    target: null,
  } as const;
  await expectCode('TOO_LARGE', () => run(task));
});
