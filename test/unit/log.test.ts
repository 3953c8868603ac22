import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text as textOf } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { createLog, LOG_FORMATS, type LogOptions, lineLog } from '../../verifier/log.ts';
import { withTrace } from '../../verifier/trace.ts';

function kept(format: LogOptions['format'], level: LogOptions['level'] = 'info') {
  const lines: string[] = [];
  return { lines, log: createLog({ format, level, write: (line) => lines.push(line) }) };
}

/** The one line that a call writes, as the object that it is. */
function written(act: (log: ReturnType<typeof kept>['log']) => void): Record<string, unknown> {
  const { lines, log } = kept('json');
  act(log);
  expect(lines.length).toBe(1);
  return JSON.parse(lines[0]!);
}

/** Everything that a terminal, an editor or a reader of lines would obey. */
const OBEYED = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
const EVIL = 'a\nerror forged\r\u001b[2J\u0000\u007f\u009b31m\u2028\u202e\u2066\ud800';

describe('a line for machines', () => {
  test('has level, time and sentence beside the fields', () => {
    const line = written((log) => log.warn('refused enrol', { window: 3, code: 'BAD_SIGNATURE' }));
    expect(line).toMatchObject({ level: 'warn', msg: 'refused enrol', window: 3, code: 'BAD_SIGNATURE' });
    expect(line.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test('keeps its own level, time and sentence when fields have these names', () => {
    const { lines, log } = kept('json');
    log.info('true', { level: 'error', time: 'never', msg: 'false' });
    expect(lines[0]!.match(/"(?:level|time|msg)":/g)).toHaveLength(3);
    expect(JSON.parse(lines[0]!)).toMatchObject({
      level: 'info',
      msg: 'true',
      level_: 'error',
      msg_: 'false',
    });
  });

  test('names a field once, with the value that stands nearest to the call', () => {
    const { lines, log } = kept('json');
    log.child({ window: 1, phase: 'enrol' }).child({ phase: 'commit' }).info('x', { window: 2 });
    expect(lines[0]!.match(/"window":/g)).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({ window: 2, phase: 'commit' });
  });

  test('takes a sentence as it is, with what printf would replace', () => {
    expect(written((log) => log.info('%s of %d %j %%', { a: 1 })).msg).toBe('%s of %d %j %%');
  });

  test('keeps an error’s stack, bytes as their number, and numbers that JSON has not as text', () => {
    const error = new Error('boom');
    const line = written((log) => log.error('x', { error, bytes: new Uint8Array(5), big: 2n ** 70n }));
    expect(line).toMatchObject({ error: error.stack, bytes: '5 bytes', big: '1180591620717411303424' });
  });

  test('survives what refers to itself', () => {
    const self: Record<string, unknown> = {};
    self.self = self;
    expect(JSON.stringify(written((log) => log.info('x', { self })))).toContain('…');
  });
});

test('a line for people is its level, its sentence and key=value', () => {
  const { lines, log } = kept('text');
  log.info('listening', { url: 'http://127.0.0.1:1', entries: 5, detail: { a: [1] }, words: 'two words' });
  expect(lines).toEqual([
    'info  listening url=http://127.0.0.1:1 entries=5 detail={"a":[1]} words="two words"',
  ]);
});

test('lines below the level are not written', () => {
  const { lines, log } = kept('text', 'warn');
  log.info('a');
  log.child({}).info('b');
  log.warn('c');
  log.error('d');
  expect(lines).toEqual(['warn  c', 'error d']);
});

describe.each(LOG_FORMATS)('what strangers send, as %s', (format) => {
  test('ends no line and reaches no terminal, wherever it stands', () => {
    const { lines, log } = kept(format);
    log.warn(EVIL, { plain: EVIL, [EVIL]: EVIL, nested: { list: [EVIL], error: new Error(EVIL) } });
    expect(lines.length).toBe(1);
    expect(lines[0]).not.toMatch(OBEYED);
    if (format === 'json') expect(JSON.parse(lines[0]!)).toMatchObject({ msg: EVIL, plain: EVIL });
  });

  test('fills no line without end', () => {
    const { lines, log } = kept(format);
    const long = 'x'.repeat(1_000_000);
    const wide = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`field${i}`, long]));
    const deep = JSON.parse(`${'['.repeat(500)}${']'.repeat(500)}`);
    log.warn(long, { long, wide, list: new Array(100_000).fill(wide), deep, [long]: 1 });
    log.warn('x', {
      list: Array.from({ length: 100 }, () => Array.from({ length: 100 }, () => '\u0000'.repeat(99))),
    });
    for (const line of lines) expect(line.length).toBeLessThan(32_768);
    expect(lines.length).toBe(2);
  });

  test('is shortened with a word of how much is missing', () => {
    const { lines, log } = kept(format);
    log.warn('closes without 40 miners', { pending: Array.from({ length: 40 }, (_, i) => i) });
    expect(lines[0]).toContain('… 8 more');
  });
});

describe.each(LOG_FORMATS)('a secret, as %s', (format) => {
  test.each([
    ['key', 'password', 'verifierKey', 'beaconSecrets', 'authorization', 'SECRET', 'privateKey', 'api_token'],
  ])('is not written under a name like %s', (...names) => {
    const { lines, log } = kept(format);
    for (const name of names)
      log.child({ [name]: 'hunter2' }).error('x', { nested: { [name]: ['hunter2'] } });
    expect(lines.join()).not.toContain('hunter2');
    expect(lines.length).toBe(names.length);
  });

  test('is not written as part of an address, in a field, a sentence or an error', () => {
    const { lines, log } = kept(format);
    const url = 'postgres://user:hunter2@db.example:5432/grail?sslmode=require';
    log.error(`cannot reach ${url}`, { url, error: new Error(`connect ${url}`) });
    const around = `${'x'.repeat(4_080)} nats://user:hunter2@bus`;
    log.error(around, { around });
    expect(lines.join()).not.toContain('hunter2');
    expect(lines[0]).toContain('db.example:5432/grail?sslmode=require');
  });
});

test('a line says which trace it belongs to, and only within one', async () => {
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const { lines, log } = kept('json');
  await withTrace(`00-${traceId}-b7ad6b7169203331-01`, async () => {
    await new Promise(setImmediate);
    log.info('inside');
  });
  log.info('outside');
  expect(lines.map((line) => JSON.parse(line).trace)).toEqual([traceId, undefined]);
});

describe('standard error', () => {
  /** Runs a program that logs to its standard error, whose reader is what `spawn` gives it. */
  const program = (end: string) => `
    import { createLog, standardErrorLines } from ${JSON.stringify(import.meta.resolve('../../verifier/log.ts'))};
    const log = createLog({ format: 'json', level: 'info', write: standardErrorLines() });
    for (let i = 0; i < 5000; i++) log.info('line', { i, filler: 'x'.repeat(1000) });
    ${end}
  `;
  const run = (end: string) =>
    spawn(process.execPath, ['--input-type=module-typescript', '--eval', program(end)], { stdio: 'pipe' });

  test('has every line that was logged before a crash', async () => {
    const child = run(`process.kill(process.pid, 'SIGKILL');`);
    const [text, [, signal]] = await Promise.all([textOf(child.stderr), once(child, 'exit')]);
    expect(signal).toBe('SIGKILL');
    const lines = text.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line).i)).toEqual(Array.from({ length: 5000 }, (_, i) => i));
  });

  test('may lose its reader', async () => {
    const child = run(`process.stdout.write('alive');`);
    child.stderr.destroy();
    expect(await textOf(child.stdout)).toBe('alive');
  });

  test('may have a reader that stands still', async () => {
    const child = run(`process.stdout.write('alive');`);
    child.stderr.pause();
    expect(await textOf(child.stdout)).toBe('alive');
    child.stderr.destroy();
  });
});

test('the log for people begins at info', () => {
  const lines: string[] = [];
  lineLog((line) => lines.push(line)).info('a', { b: 1 });
  expect(lines).toEqual(['info  a b=1']);
});
