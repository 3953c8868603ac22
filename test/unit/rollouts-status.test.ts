import { beforeEach, describe, expect, test } from 'vitest';
import { verdictRejection } from '../../rollouts/events.ts';
import { MinerStatus } from '../../rollouts/status.ts';
import { NetworkView } from '../../rollouts/view.ts';
import { deservesLine, painter, statusLines } from '../../src/cli/miner-lines.ts';
import { redraw } from '../../src/cli/screen.ts';
import { columns, duration, printable, shortHex } from '../../src/cli/text.ts';
import { KEYS, TestMiner, TestNetwork, tinyGenesis } from '../helpers/network.ts';

/** What a miner's terminal shows, with a clock that only these tests move. */
let nowMs: number;
let status: MinerStatus;
let view: NetworkView;

beforeEach(() => {
  nowMs = 0;
  status = new MinerStatus(() => nowMs);
  view = new NetworkView(tinyGenesis(), KEYS.miner.address);
});

/** Puts the miner into a phase of window 0; slots count from its one enrolment. */
function enter(phase: 'enrol' | 'commit' | 'opening' | 'prove'): void {
  const window = view.windows.get(0)!;
  window.phase = phase;
  if (window.enrols.length === 0) window.enrols.push(enrolment);
}

const network = new TestNetwork();
const enrolment = new TestMiner(network, KEYS.miner).enrol(0);
network.remove();

const summary = { windows: 3, verdicts: 2, rejections: 1, credit: 5n };
const lines = (width: number, paint?: Parameters<typeof statusLines>[3]) =>
  statusLines(`${KEYS.miner.address} on tiny`, { status, view, summary }, width, paint);

describe('the status of a miner', () => {
  test('says of each window what it does and since when', () => {
    enter('enrol');
    expect(status.windows(view)).toMatchObject([
      { window: 0, phase: 'enrol', seconds: 0, doing: 'waits for the end of its enrol phase', work: null },
    ]);
    nowMs = 4000;
    expect(status.windows(view)[0]!.seconds).toBe(4);
    enter('commit');
    expect(status.windows(view)[0]).toMatchObject({ phase: 'commit', seconds: 0, doing: 'playing' });
  });

  test('has the steps that are done, their pace and the time left', () => {
    enter('commit');
    status.progress({
      kind: 'playing',
      window: 0,
      done: 500,
      total: 2000,
      stepsPerSecond: 250,
      etaSeconds: 6,
    });
    expect(status.windows(view)[0]!.work).toEqual({
      done: 500,
      total: 2000,
      unit: 'steps',
      perSecond: 250,
      etaSeconds: 6,
    });
    expect(lines(80)).toContain('          [#####.................] 500 of 2,000 steps, 250/s, 6.0 s left');
  });

  test('tells how long proofs will take from the last one', () => {
    enter('prove');
    status.progress({ kind: 'proving', window: 0, part: 0 });
    expect(status.windows(view)[0]!.work).toMatchObject({ done: 0, total: 2, etaSeconds: null });
    nowMs = 3000;
    status.event({ event: 'proved', window: 0, part: 0, parts: 2, index: 9, seconds: 3 });
    view.windows.get(0)!.proofs.push({ ...enrolment, type: 'proof', part: 0, proof: '0x' });
    status.progress({ kind: 'proving', window: 0, part: 1 });
    nowMs = 4000;
    expect(status.windows(view)[0]!.work).toMatchObject({ done: 1, total: 2, etaSeconds: 2 });
  });

  test('shows the window that is open for enrolment to a miner that is in none', () => {
    expect(status.windows(view)).toMatchObject([{ window: 0, phase: 'enrol', doing: 'not enrolled' }]);
  });

  test('counts verdicts, and keeps the last rejection with what to do about it', () => {
    const verdict = {
      event: 'verdict',
      slots: 2,
      total: '200',
      trained: true,
      insecureDev: true,
      index: 9,
    } as const;
    status.event({ ...verdict, window: 0, credit: 200, share: 0.2 });
    status.event(verdictRejection(1, { code: 'ACTION_MISMATCH', slot: 2, step: 7, expected: 0, got: 1 }));
    status.event({ ...verdict, window: 1, credit: 0, share: 0 });
    expect(status).toMatchObject({ accepted: 1, rejected: 1 });
    const text = lines(200).join('\n');
    expect(text).toContain('3 taken part in, 1 accepted, 1 rejected');
    expect(text).toContain('window 1: ACTION_MISMATCH at slot 2, step 7: expected 0, got 1.');
    expect(text).toContain('run grail doctor');
    expect(text).toContain('0.0% of its emission');
  });

  test('shows what is in the way until it is over', () => {
    status.event({ event: 'disconnected', code: 'UNREACHABLE', message: 'it is down', retryMs: 500 });
    expect(lines(100).join('\n')).toContain('UNREACHABLE: it is down');
    status.event({ event: 'connected', url: 'http://x/', entries: 1, window: 0 });
    expect(lines(100).join('\n')).not.toContain('UNREACHABLE');
  });

  test('says after Ctrl-C what is still waited for, and nothing once it has ended', () => {
    enter('prove');
    expect(lines(100).at(-1)).toContain('finishes the windows under way');
    status.event({ event: 'stopping', windows: [0], waits: ['the verdict'] });
    expect(lines(100).at(-1)).toContain('stopping after window 0; again to stop at once');
    status.event({ event: 'stopped', windows: 1, verdicts: 1, rejections: 0, credit: '5' });
    expect(lines(100).join('\n')).not.toContain('Ctrl-C');
  });
});

describe('its lines', () => {
  beforeEach(() => {
    enter('commit');
    const reason = `UNKNOWN at slot 1: expected 0x${'ab'.repeat(32)}, got 0x${'cd'.repeat(32)}`;
    const rejected = { event: 'rejected', window: 0, at: 'verdict', message: null } as const;
    status.event({ ...rejected, code: 'OPENING_MISMATCH', reason, advice: 'Run grail doctor.' });
    const progress = { done: 1_234_567, total: 16_777_216, stepsPerSecond: 123_456, etaSeconds: 4000 };
    status.progress({ kind: 'playing', window: 0, ...progress });
    status.event({ event: 'stopping', windows: [0], waits: ['the rollouts'] });
  });

  test.each([[120], [80], [40]])('fit %i columns, and say everything', (width) => {
    const shown = lines(width);
    for (const line of shown) expect(columns(line), line).toBeLessThanOrEqual(width);
    const text = shown.join(' ').replace(/\s+/g, ' ');
    for (const part of [
      '1,234,567 of 16,777,216 steps',
      '123,456/s',
      '1 h 6 min left',
      'expected 0xabab…abab',
    ])
      expect(text).toContain(part);
  });

  test('have colours, and none with NO_COLOR', () => {
    expect(lines(80, painter({})).join('')).toContain('\u001b[31m');
    expect(lines(80, painter({ NO_COLOR: '1' }))).toEqual(lines(80));
    expect(lines(80).join('')).not.toContain('\u001b');
  });

  test('move no cursor with what a verifier writes', () => {
    status.event({
      event: 'disconnected',
      code: 'UNREACHABLE',
      message: 'a\u001b[2Jb\u009b2J\u202ec\nd',
      retryMs: 1,
    });
    const text = lines(100).join('');
    expect(text).toContain('a\ufffd[2Jb\ufffd2J\ufffdc\ufffdd');
  });
});

describe('a line above a live status', () => {
  test('is for what the status does not show', () => {
    expect(deservesLine({ event: 'enrolled', window: 0, slots: 2 })).toBe(false);
    expect(deservesLine({ event: 'finished' })).toBe(true);
  });

  test('takes the place of the old picture and wraps, the new picture follows', () => {
    const { text, rows } = redraw(['status'], 2, 24, ['an event']);
    expect(text).toBe('\r\u001b[2A\u001b[J\u001b[?7han event\n\u001b[?7lstatus\u001b[K\n\u001b[J');
    expect(rows).toBe(1);
  });
});

describe('text for people', () => {
  test.each([
    [0.44, '0.4 s'],
    [9.96, '10 s'],
    [75, '75 s'],
    [125, '2 min 5 s'],
    [12_000, '3 h 20 min'],
  ])('%d seconds are %s', (seconds, text) => expect(duration(seconds)).toBe(text));

  test('long hexadecimal numbers are their two ends', () => {
    expect(shortHex(`x 0x${'1234'.repeat(10)} y 0x1234`)).toBe('x 0x1234…1234 y 0x1234');
  });

  test('what could move a cursor is replaced', () => {
    expect(printable('é ρ 漢\u0007\u2028')).toBe('é ρ 漢\ufffd\ufffd');
  });
});
