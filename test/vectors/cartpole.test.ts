import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createCartPole } from '../../src/environments/cartpole.ts';

interface Recorded {
  readonly start: number[];
  readonly actions: string;
  readonly states: number[][];
  readonly length: number;
  readonly return: number;
  readonly terminated: boolean;
  readonly truncated: boolean;
}

const recorded: { origin: string; stride: number; episodes: Recorded[] } = JSON.parse(
  readFileSync(new URL('cartpole.json', import.meta.url), 'utf8'),
);

function replay(episode: Recorded) {
  const batch = createCartPole(1);
  batch.reset(0, new Uint8Array(16));
  batch.states.set(episode.start);
  const rewards = new Float32Array(1);
  const terminated = new Uint8Array(1);
  const truncated = new Uint8Array(1);
  const states: number[][] = [];
  let total = 0;
  let length = 0;
  for (const action of episode.actions) {
    batch.step(Uint16Array.of(Number(action)), length, rewards, terminated, truncated);
    length += 1;
    total += rewards[0]!;
    const ended = terminated[0] === 1 || truncated[0] === 1;
    if (length % recorded.stride === 0 || ended) states.push([...batch.states]);
    if (ended) break;
  }
  return { length, total, terminated: terminated[0] === 1, truncated: truncated[0] === 1, states };
}

test('the record holds 50 episodes or more, of every ending', () => {
  const { episodes } = recorded;
  expect(episodes.length).toBeGreaterThanOrEqual(50);
  expect(episodes.some((e) => e.truncated)).toBe(true);
  expect(episodes.some((e) => e.terminated && Math.abs(e.states.at(-1)![0]!) > 2.4)).toBe(true);
  expect(episodes.some((e) => e.terminated && Math.abs(e.states.at(-1)![2]!) > 0.209)).toBe(true);
});

test(`episodes end as in ${recorded.origin}, with the same rewards`, () => {
  const got = recorded.episodes.map((episode) => {
    const { length, total, terminated, truncated } = replay(episode);
    return { length, return: total, terminated, truncated };
  });
  const expected = recorded.episodes.map((e) => ({
    length: e.length,
    return: e.return,
    terminated: e.terminated,
    truncated: e.truncated,
  }));
  expect(got).toEqual(expected);
});

test('states along the way and at the end are Gymnasium’s to the last bit', () => {
  for (const episode of recorded.episodes) expect(replay(episode).states).toEqual(episode.states);
});
