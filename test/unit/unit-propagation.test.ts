import { expect, test } from 'vitest';
import { propagateUnits } from '../../src/environments/unit-propagation.ts';

/** Propagates over clauses written as in `aB`: a is true or b is false. `given` and the result are literals alike. */
function propagate(clauses: readonly string[], given: string, live = clauses.map(() => 3)) {
  const mask = (text: string, pattern: RegExp) =>
    (text.match(pattern) ?? []).reduce(
      (bits, letter) => bits | (1 << (letter.toLowerCase().charCodeAt(0) - 97)),
      0,
    );
  const state = {
    truths: mask(given, /[a-p]/g),
    falsities: mask(given, /[A-P]/g),
    conflict: true,
    twos: -1,
    threes: -1,
  };
  // A falsified clause before them: what lies outside `at` and `count` must not matter.
  const positive = Uint16Array.from([0, ...clauses.map((text) => mask(text, /[a-p]/g)), 0]);
  const negative = Uint16Array.from([0, ...clauses.map((text) => mask(text, /[A-P]/g)), 0]);
  propagateUnits(positive, negative, Int8Array.of(3, ...live, 3), 1, clauses.length, state);
  const letters = Array.from('abcdefghijklmnop');
  const assigned = letters
    .map((letter, v) =>
      (state.truths >> v) & 1 ? letter : (state.falsities >> v) & 1 ? letter.toUpperCase() : '',
    )
    .join('');
  return { assigned, conflict: state.conflict, twos: state.twos, threes: state.threes };
}

test('a chain of forced variables is followed to its end, against the order of clauses too', () => {
  expect(propagate(['CDe', 'BCd', 'ABc', 'Ab', 'fgh', 'Afg'], 'a')).toEqual({
    assigned: 'abcde',
    conflict: false,
    twos: 1,
    threes: 1,
  });
});

test('a clause whose literals all fail is a conflict, however the clauses are ordered', () => {
  const clauses = ['Ab', 'Bc', 'Cd', 'ABD'];
  expect(propagate(clauses, 'a').conflict).toBe(true);
  expect(propagate(clauses.toReversed(), 'a').conflict).toBe(true);
  expect(propagate(clauses, 'A')).toEqual({ assigned: 'A', conflict: false, twos: 2, threes: 0 });
});

test('clauses that are not live force nothing and are no conflict', () => {
  expect(propagate(['Ab', 'A', 'abc'], 'a', [0, 0, -1])).toEqual({
    assigned: 'a',
    conflict: false,
    twos: 0,
    threes: 0,
  });
});

test('the sixteenth variable is no different', () => {
  expect(propagate(['Ap', 'Po'], 'a').assigned).toBe('aop');
});
