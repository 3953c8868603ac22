import { deflateSync, inflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { asterixGame } from '../../src/environments/minatar/asterix.ts';
import { breakoutGame } from '../../src/environments/minatar/breakout.ts';
import { freewayGame } from '../../src/environments/minatar/freeway.ts';
import type { GameDefinition } from '../../src/environments/minatar/game.ts';
import { seaquestGame } from '../../src/environments/minatar/seaquest.ts';
import { spaceInvadersGame } from '../../src/environments/minatar/space-invaders.ts';
import { type Recording, readRecording, replay } from '../support/minatar.ts';

const GAMES: Readonly<Record<string, GameDefinition>> = {
  asterix: asterixGame,
  breakout: breakoutGame,
  freeway: freewayGame,
  seaquest: seaquestGame,
  space_invaders: spaceInvadersGame,
};

/** A recording of one's own made by minatar.py, instead of the committed ones. */
const other = process.env.GRAIL_VECTORS_MINATAR ?? '';
const committed = other === '';

const recordings = committed
  ? Object.keys(GAMES).map((game) => readRecording(new URL(`minatar-${game}.json`, import.meta.url)))
  : [readRecording(other)];

test.each(recordings)(
  '$frames frames of $game are the package’s for the same draws: rewards, ends, every state and every draw',
  (recording) => {
    expect(replay(recording, GAMES[recording.game]!, 'recorded')).toBe(recording.frames);
  },
);

test.each(recordings.filter(({ source }) => source === 'philox'))(
  '$frames frames of $game are the package’s when both draw from the same seeds',
  (recording) => {
    expect(replay(recording, GAMES[recording.game]!, 'seeds')).toBe(recording.frames);
  },
);

test.runIf(committed).each(recordings)('the record of $game has 20,000 frames or more', (recording) => {
  expect(recording.frames).toBeGreaterThanOrEqual(20_000);
});

const change = (packed: string, tamper: (bytes: Buffer) => Uint8Array) =>
  deflateSync(tamper(inflateSync(Buffer.from(packed, 'base64')))).toString('base64');

test.runIf(committed).each<[string, (recording: Recording) => Partial<Recording>]>([
  [
    'one reward is another',
    ({ outcomes }) => ({
      outcomes: change(outcomes, (bytes) => bytes.fill(bytes[500]! ^ 1, 500, 501)),
    }),
  ],
  [
    'one state is another',
    ({ states }) => ({ states: change(states, (bytes) => bytes.fill(bytes.at(-1)! ^ 1, bytes.length - 1)) }),
  ],
  ['one hash is another', ({ hashes }) => ({ hashes: hashes.with(100, hashes[101]!) })],
  ['a draw is left', ({ draws }) => ({ draws: change(draws, (bytes) => Buffer.concat([bytes, bytes])) })],
  ['a draw is missing', ({ draws }) => ({ draws: change(draws, (bytes) => bytes.subarray(0, -1)) })],
])('a recording in which %s is refused', (_, tamper) => {
  const recording = recordings.find(({ game }) => game === 'asterix')!;
  const changed = { ...recording, ...tamper(recording) };
  expect(() => replay(changed, GAMES[recording.game]!, 'recorded')).toThrow();
});
