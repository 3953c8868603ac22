import { describe, expect, test } from 'vitest';
import { asterixGame } from '../../src/environments/minatar/asterix.ts';
import { breakoutGame } from '../../src/environments/minatar/breakout.ts';
import { HALF, STICKY, THIRD } from '../../src/environments/minatar/draws.ts';
import { freewayGame } from '../../src/environments/minatar/freeway.ts';
import { seaquestGame } from '../../src/environments/minatar/seaquest.ts';
import { spaceInvadersGame } from '../../src/environments/minatar/space-invaders.ts';
import { OneGame } from '../support/minatar.ts';

describe('Breakout', () => {
  test.each([
    [0, [0, 3], [1, 4]],
    [1, [9, 3], [8, 4]],
  ])('the ball starts at side %i and falls inwards', (side, start, next) => {
    const game = new OneGame(breakoutGame, (draws) => draws.belows.set(2, () => side));
    expect(game.cells('ball')).toEqual([start]);
    game.do('nothing');
    expect([game.cells('ball'), game.cells('trail')]).toEqual([[next], [start]]);
  });

  test('a ball that is not met ends the episode without reward', () => {
    const game = new OneGame(breakoutGame);
    expect([game.do('nothing', 5), game.ended]).toEqual([0, false]);
    expect([game.do('nothing'), game.ended]).toEqual([0, true]);
    expect(game.cells('ball')).toEqual([[6, 9]]);
  });

  test('a paddle below the ball sends it on', () => {
    const game = new OneGame(breakoutGame);
    game.do('right');
    game.do('nothing', 6);
    expect(game.cells('ball')).toEqual([[7, 7]]);
  });

  test('a paddle where the ball would go sends it back', () => {
    const game = new OneGame(breakoutGame);
    game.do('right', 2);
    game.do('nothing', 5);
    expect(game.cells('ball')).toEqual([[5, 7]]);
  });

  test('a brick that is struck goes, pays 1 and turns the ball', () => {
    const game = new OneGame(breakoutGame);
    game.do('right', 2);
    game.do('nothing', 8);
    expect(game.cells('ball')).toEqual([[2, 4]]);
    expect(game.do('nothing')).toBe(1);
    expect([game.cells('ball'), game.status]).toEqual([[[1, 4]], 'bricks 29']);
    expect(game.cells('brick')).not.toContainEqual([1, 3]);
    game.do('nothing');
    expect(game.cells('ball')).toEqual([[0, 5]]);
  });
});

describe('Freeway', () => {
  const slow = () => new OneGame(freewayGame, (draws) => draws.belows.set(5, () => 4));

  test('the chicken moves every third frame at most', () => {
    const game = slow();
    const rows = Array.from({ length: 8 }, () => {
      game.do('up');
      return game.cells('chicken')[0]![1];
    });
    expect(rows).toEqual([9, 9, 9, 8, 8, 8, 7, 7]);
  });

  test('a start draws eight speeds, then eight directions, and puts all cars on the left', () => {
    const game = slow();
    expect(game.draws.asked).toEqual([...new Array(8).fill(5), ...new Array(8).fill(HALF)]);
    expect(game.cells('car')).toEqual(Array.from({ length: 8 }, (_, lane) => [0, lane + 1]));
    expect(game.cells('every 6th')).toEqual(Array.from({ length: 8 }, (_, lane) => [9, lane + 1]));
  });

  test('a car of speed n moves every n + 1 frames', () => {
    const game = slow();
    game.do('nothing', 5);
    expect(game.cells('car')[0]).toEqual([0, 1]);
    game.do('nothing');
    expect(game.cells('car')[0]).toEqual([1, 1]);
    game.do('nothing', 5);
    expect(game.cells('car')[0]).toEqual([1, 1]);
    game.do('nothing');
    expect(game.cells('car')[0]).toEqual([2, 1]);
  });

  test('a car that meets the chicken sends it back to the start', () => {
    const game = slow();
    game.do('up', 23);
    expect(game.cells('chicken')).toEqual([[4, 2]]);
    game.do('nothing');
    expect([game.cells('car')[0], game.cells('chicken')]).toEqual([[4, 1], [[4, 9]]]);
  });

  test('a crossing pays 1, returns the chicken and draws all cars anew where they are', () => {
    const game = new OneGame(freewayGame, (draws) => {
      draws.belows.set(5, () => 4);
      draws.chances.set(HALF, true);
    });
    game.do('up', 27);
    expect(game.cells('chicken')).toEqual([[4, 1]]);
    game.draws.asked.length = 0;
    expect(game.do('up')).toBe(1);
    expect(game.draws.asked).toEqual([STICKY, ...new Array(8).fill(5), ...new Array(8).fill(HALF)]);
    expect([game.cells('chicken'), game.cells('car')[0]]).toEqual([[[4, 9]], [6, 1]]);
  });

  test('an episode ends with its 2,501st frame', () => {
    const game = slow();
    game.do('nothing', 2500);
    expect(game.ended).toBe(false);
    game.do('nothing');
    expect(game.ended).toBe(true);
  });
});

describe('SpaceInvaders', () => {
  test('a shot leaves every fifth frame at most', () => {
    const game = new OneGame(spaceInvadersGame);
    game.do('left', 5);
    game.do('fire', 5);
    expect(game.cells('shot')).toEqual([[0, 4]]);
    game.do('fire');
    expect(game.cells('shot')).toEqual([
      [0, 3],
      [0, 8],
    ]);
  });

  test('a shot that meets an alien takes it and pays 1', () => {
    const game = new OneGame(spaceInvadersGame);
    game.do('fire', 5);
    expect([game.cells('shot'), game.cells('alien').length]).toEqual([[[5, 4]], 24]);
    expect(game.do('nothing')).toBe(1);
    expect([game.cells('shot'), game.cells('alien').length]).toEqual([[], 23]);
    expect(game.cells('alien')).not.toContainEqual([5, 3]);
  });

  test('a full wave moves every twelfth frame, left first, and steps down and turns at the edge', () => {
    const game = new OneGame(spaceInvadersGame);
    game.do('right', 4);
    game.do('nothing', 8);
    expect([game.cells('alien')[0], game.cells('alien walking left').length]).toEqual([[2, 0], 24]);
    game.do('nothing');
    expect(game.cells('alien')[0]).toEqual([1, 0]);
    game.do('nothing', 12);
    expect(game.cells('alien')[0]).toEqual([0, 0]);
    game.do('nothing', 12);
    expect(game.cells('alien')[0]).toEqual([0, 1]);
    expect(game.cells('alien walking right')).toHaveLength(24);
    expect(game.cells('alien walking left')).toHaveLength(0);
  });

  test('every tenth frame the lowest alien of the nearest column drops a bomb, which ends the episode on the cannon', () => {
    const game = new OneGame(spaceInvadersGame);
    game.do('nothing', 10);
    expect(game.cells('bomb')).toEqual([]);
    game.do('nothing');
    expect(game.cells('bomb')).toEqual([[5, 3]]);
    game.do('nothing', 5);
    expect([game.cells('bomb'), game.ended]).toEqual([[[5, 8]], false]);
    game.do('nothing');
    expect(game.ended).toBe(true);
  });
});

describe('Asterix', () => {
  test('the player stays between rows 1 and 8', () => {
    const game = new OneGame(asterixGame);
    game.do('up', 6);
    expect(game.cells('player')).toEqual([[5, 1]]);
    game.do('down', 9);
    expect(game.cells('player')).toEqual([[5, 8]]);
  });

  test('an entity comes with the eleventh frame: side, kind and free lane are drawn in this order', () => {
    const game = new OneGame(asterixGame, (draws) => draws.belows.set(8, () => 6));
    game.do('nothing', 10);
    game.draws.asked.length = 0;
    game.do('nothing');
    expect(game.draws.asked).toEqual([STICKY, HALF, THIRD, 8]);
    expect([game.cells('enemy'), game.cells('trail')]).toEqual([[[8, 7]], [[9, 7]]]);
    game.do('nothing', 5);
    expect([game.cells('enemy'), game.cells('trail')]).toEqual([[[7, 7]], [[8, 7]]]);
  });

  test('gold pays 1 and goes, an enemy ends the episode', () => {
    for (const gold of [true, false]) {
      const game = new OneGame(asterixGame, (draws) => {
        draws.chances.set(HALF, true);
        draws.chances.set(THIRD, gold);
        draws.belows.set(8, () => 4);
      });
      game.do('left', 4);
      expect(game.do('nothing', 6)).toBe(0);
      expect(game.do('nothing')).toBe(gold ? 1 : 0);
      expect([game.ended, game.cells('gold'), game.cells('enemy').length]).toEqual([!gold, [], gold ? 0 : 1]);
    }
  });

  test('at full difficulty, after 918 frames, an entity comes and all move every frame', () => {
    const game = new OneGame(asterixGame, (draws) => draws.chances.set(THIRD, true));
    game.do('nothing', 102 * 9 - 1);
    expect(game.status).toBe('level 8, spawn interval 2, move interval 1');
    game.do('nothing');
    expect(game.status).toBe('level 9, spawn interval 1, move interval 1');
    game.do('nothing', 300);
    expect(game.status).toContain('level 9');
  });

  test('no lane is drawn when none is free', () => {
    const game = new OneGame(asterixGame, (draws) => draws.chances.set(THIRD, true));
    game.do('nothing', 930);
    game.draws.asked.length = 0;
    game.do('nothing', 20);
    const questions = game.draws.asked.join().split(String(STICKY));
    expect(questions).toContain(`,${HALF},${THIRD},`);
  });
});

describe('Seaquest', () => {
  const game = () => new OneGame(seaquestGame);

  test('the submarine points where it went last', () => {
    const one = game();
    expect([one.cells('front of the submarine'), one.cells('back of the submarine')]).toEqual([
      [[5, 0]],
      [[6, 0]],
    ]);
    one.do('right');
    expect([one.cells('front of the submarine'), one.cells('back of the submarine')]).toEqual([
      [[6, 0]],
      [[5, 0]],
    ]);
  });

  test('air lasts 200 frames below the surface and is not used at it', () => {
    const one = game();
    one.draws.belows.set(8, () => 7);
    one.do('nothing', 500);
    expect(one.status).toContain('air 200');
    one.do('down');
    one.do('left', 4);
    expect(one.status).toContain('air 195');
    one.do('nothing', 195);
    expect([one.status, one.ended]).toEqual(['level 0, air 0, divers 0', false]);
    one.do('nothing');
    expect(one.ended).toBe(true);
  });

  test('to surface without a diver ends the episode', () => {
    const one = game();
    one.do('down', 2);
    one.do('up');
    expect(one.ended).toBe(false);
    one.do('up');
    expect(one.ended).toBe(true);
  });

  test('a shot takes the fish that it meets and pays 1', () => {
    const one = game();
    one.do('nothing', 20);
    one.do('right');
    one.do('down');
    expect(one.cells('fish')).toEqual([[9, 1]]);
    expect([one.do('fire', 2), one.cells('shot')]).toEqual([0, [[8, 1]]]);
    expect([one.do('nothing'), one.cells('shot'), one.cells('fish')]).toEqual([1, [], []]);
  });

  test('a fish that meets the submarine ends the episode', () => {
    const one = game();
    one.do('nothing', 21);
    one.do('right', 4);
    expect([one.cells('fish'), one.ended]).toEqual([[[9, 1]], false]);
    one.do('down');
    expect(one.ended).toBe(true);
  });

  test('an enemy submarine drops a bomb with its eleventh frame', () => {
    const one = game();
    one.draws.chances.set(THIRD, true);
    one.do('nothing', 30);
    expect(one.cells('bomb')).toEqual([]);
    one.do('nothing');
    expect([one.cells('enemy submarine'), one.cells('bomb')]).toEqual([[[8, 1]], [[7, 1]]]);
  });

  test('an enemy that comes draws side, kind and row, and none comes against the traffic of its row', () => {
    const one = game();
    one.do('nothing', 20);
    one.draws.asked.length = 0;
    one.do('nothing');
    expect(one.draws.asked).toEqual([STICKY, HALF, THIRD, 8]);
    expect(one.cells('fish')).toEqual([[9, 1]]);
    one.draws.chances.set(HALF, true);
    one.do('nothing', 20);
    expect(one.cells('fish')).toEqual([[6, 1]]);
  });

  /** At (0, 1), where divers come from the 31st frame on, every 30 frames; enemies pass in row 8. */
  const amongDivers = () => {
    const one = game();
    one.draws.chances.set(HALF, true);
    one.draws.belows.set(8, (before) => (before === THIRD ? 7 : 0));
    one.do('left', 5);
    one.do('down');
    return one;
  };

  test('to surface with a diver costs it, fills the air and makes the game harder', () => {
    const one = amongDivers();
    one.do('nothing', 25);
    expect([one.status, one.cells('diver gauge')]).toEqual(['level 0, air 174, divers 1', [[8, 9]]]);
    expect(one.do('up')).toBe(0);
    expect([one.status, one.ended]).toEqual(['level 1, air 200, divers 0', false]);
  });

  test('to surface with six divers pays for the air that is left and leaves −1 divers, as in the package', () => {
    const one = amongDivers();
    one.do('nothing', 175);
    expect(one.cells('diver gauge')).toHaveLength(6);
    expect(one.status).toContain('air 24');
    expect(one.do('up')).toBe(1);
    expect([one.status, one.cells('diver gauge')]).toEqual(['level 1, air 200, divers -1', []]);
    one.do('down');
    expect(one.do('up')).toBe(0);
    expect([one.status, one.ended]).toEqual(['level 2, air 200, divers -2', false]);
  });
});
