import { expect, test } from 'vitest';
import { asterixGame } from '../../src/environments/minatar/asterix.ts';
import { breakoutGame } from '../../src/environments/minatar/breakout.ts';
import { freewayGame } from '../../src/environments/minatar/freeway.ts';
import type { GameDefinition } from '../../src/environments/minatar/game.ts';
import { seaquestGame } from '../../src/environments/minatar/seaquest.ts';
import { spaceInvadersGame } from '../../src/environments/minatar/space-invaders.ts';
import { readRecording, replay } from '../support/minatar.ts';

const GAMES: Readonly<Record<string, GameDefinition>> = {
  asterix: asterixGame,
  breakout: breakoutGame,
  freeway: freewayGame,
  seaquest: seaquestGame,
  space_invaders: spaceInvadersGame,
};

/** A recording of one's own made by minatar.py, instead of the committed ones. */
const other = process.env.GRAIL_VECTORS_MINATAR;

const recordings =
  other === undefined || other === ''
    ? Object.keys(GAMES).map((game) => readRecording(new URL(`minatar-${game}.json`, import.meta.url)))
    : [readRecording(other)];

test.each(recordings)(
  '$frames frames of $game are those of $origin to the bit: rewards, ends, every state and every draw',
  (recording) => {
    expect(replay(recording, GAMES[recording.game]!)).toBe(recording.frames);
  },
);

test.runIf(other === undefined || other === '').each(recordings)(
  'the record of $game has 20,000 frames or more',
  (recording) => {
    expect(recording.frames).toBeGreaterThanOrEqual(20_000);
  },
);
