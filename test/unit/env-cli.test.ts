import { describe, expect, test } from 'vitest';
import { observedValues } from '../../src/cli/env-describe.ts';
import { findEnvironment } from '../../src/cli/env-find.ts';
import { KeyMap, parseKeys } from '../../src/cli/env-keyboard.ts';
import { redraw } from '../../src/cli/screen.ts';
import { beside, columns, pad, wrap } from '../../src/cli/text.ts';
import { environmentById, environmentIds } from '../../src/environments/index.ts';
import { expectCode } from '../helpers/expect-code.ts';

describe('an environment is found', () => {
  test.each(environmentIds.map((id) => [id]))('by its id in any case: %s', (id) => {
    expect(findEnvironment(id).id).toBe(id);
    expect(findEnvironment(id.toUpperCase()).id).toBe(id);
  });

  test.each([
    ['breakout', 'MinAtar/Breakout-v1'],
    ['space-invaders', 'MinAtar/SpaceInvaders-v1'],
    ['Mountain Car', 'MountainCar-v0'],
    ['cartpole', 'CartPole-v1'],
  ])('by a part that no other id has: %s', (part, id) => {
    expect(findEnvironment(part).id).toBe(id);
  });

  test('by its whole id also when that is a part of another', () => {
    const ids = ['CartPole-v1', 'CartPole-v11'];
    expect(findEnvironment('cartpole-v1', ids).id).toBe('CartPole-v1');
  });

  test('not by a part that several have: the error lists them', async () => {
    const error = await expectCode('NOT_FOUND', () => findEnvironment('car'));
    expect(error.details).toEqual({ got: 'car', candidates: ['CartPole-v1', 'MountainCar-v0'] });
  });

  test.each([['pong'], ['-']])('not by %s: the error lists all', async (name) => {
    const error = await expectCode('NOT_FOUND', () => findEnvironment(name));
    expect(error.details).toEqual({ got: name, candidates: environmentIds });
  });
});

describe('observed values', () => {
  test('take their indices from the runs before them', () => {
    expect(observedValues(['x', 'pairs[1..9]', 'turn'])).toEqual([
      { from: 0, to: 0, name: 'x' },
      { from: 1, to: 9, name: 'pairs' },
      { from: 10, to: 10, name: 'turn' },
    ]);
  });

  test.each(environmentIds.map((id) => [id]))('cover the last dimension of %s', (id) => {
    const { observed, shape } = environmentById(id);
    let next = 0;
    for (const { from, to } of observedValues(observed)) {
      expect(from).toBe(next);
      next = to + 1;
    }
    expect(next).toBe(shape.at(-1));
  });
});

describe('text', () => {
  test('is broken at spaces, a long word on a line of its own', () => {
    expect(wrap('a bc interminably d', 4)).toEqual(['a bc', 'interminably', 'd']);
  });

  test('has as many columns as a terminal shows: the dot of θ̇ takes none', () => {
    expect(columns('θ̇')).toBe(1);
    expect(pad('θ̇', 3)).toBe('θ̇  ');
  });

  test('stays in its column', () => {
    expect(beside('ab  ', 'one two', 7)).toEqual(['ab  one', '    two']);
  });
});

describe('keys', () => {
  test('are told apart in what a terminal sends at once', () => {
    expect(parseKeys('\u001b[A\u001bOD 7q\u0003')).toEqual(['↑', '←', 'space', '7', 'quit', 'interrupt']);
  });

  test('take actions by name and by number', () => {
    const map = new KeyMap(environmentById('MinAtar/Seaquest-v1'));
    expect(['←', '↑', '→', '↓', 'space', '0', '5', '6', 'x'].map((key) => map.action(key))).toEqual([
      1,
      2,
      3,
      4,
      5,
      0,
      5,
      null,
      null,
    ]);
    expect(map.idle).toBe(0);
  });

  test('wait where no action does nothing', () => {
    expect(new KeyMap(environmentById('CartPole-v1')).idle).toBeNull();
  });

  test.each(environmentIds.map((id) => [id]))('reach every action of %s, and the legend names each', (id) => {
    const environment = environmentById(id);
    const map = new KeyMap(environment);
    const legend = map.legend.join('  ');
    const reached = [...'0123456789abcdefghijklmnop'].map((key) => map.action(key));
    for (const [action, name] of environment.actionNames.entries()) {
      expect(reached).toContain(action);
      expect(legend).toContain(name);
    }
    for (const line of map.legend) expect(columns(line)).toBeLessThanOrEqual(60);
  });
});

describe('a picture is redrawn', () => {
  test('over the one before it, of which nothing is left', () => {
    expect(redraw(['a', 'b'], 0, 24)).toEqual({ text: '\ra\u001b[K\nb\u001b[K\n\u001b[J', rows: 2 });
    expect(redraw(['c'], 2, 24)).toEqual({ text: '\r\u001b[2Ac\u001b[K\n\u001b[J', rows: 1 });
  });

  test('with its last line, however short the terminal is', () => {
    const { text, rows } = redraw(['title', 'one', 'two', 'three', 'status'], 4, 4);
    expect(rows).toBe(3);
    expect(text).toContain('title');
    expect(text).toContain('one');
    expect(text).not.toContain('two');
    expect(text).toContain('status');
    expect(text.startsWith('\r\u001b[3A')).toBe(true);
  });
});
