import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { createAcrobot } from '../../src/environments/acrobot.ts';
import { createCartPole } from '../../src/environments/cartpole.ts';
import { createMountainCar } from '../../src/environments/mountain-car.ts';

/** As test/vectors/classic-control.py writes it. */
type Recorded = [
  length: number,
  total: number,
  ending: number,
  spread: number | null,
  start: string,
  actions: string,
  states: string,
];

interface Recording {
  readonly origin: string;
  /** Steps between recorded states: of a settled episode, and of a wild one. */
  readonly strides: readonly [number, number];
  /** The spread above which an episode is wild. */
  readonly wild: number;
  readonly episodes: readonly Recorded[];
}

interface Replayed {
  readonly length: number;
  readonly total: number;
  readonly ending: number;
  /** Largest difference to a recorded state. */
  readonly difference: number;
}

const TOLERANCE = 1e-9;
const ENDINGS = { terminated: 1, truncated: 2 };

const folder = process.env.GRAIL_VECTORS_CLASSIC_CONTROL ?? fileURLToPath(new URL('.', import.meta.url));
const read = (name: string): Recording => JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'));

const bytes = (base64: string) => Uint8Array.from(Buffer.from(base64, 'base64'));
const floats = (base64: string) => new Float64Array(bytes(base64).buffer);

/** @param afresh whether to go on from each recorded state, so that differences cannot grow over the episode */
function replay(
  create: typeof createCartPole,
  actionBits: number,
  recording: Recording,
  episode: Recorded,
  afresh: boolean,
): Replayed {
  const [steps, , , , start, packed, recorded] = episode;
  const stride = recording.strides[isWild(recording, episode) ? 1 : 0];
  const actions = bytes(packed);
  const expected = floats(recorded);
  const batch = create(1);
  batch.reset(0, new Uint8Array(16));
  batch.states.set(floats(start));
  const width = batch.states.length;
  const rewards = new Float32Array(1);
  const terminated = new Uint8Array(1);
  const truncated = new Uint8Array(1);
  const action = new Uint16Array(1);
  let [length, total, ending, difference] = [0, 0, 0, 0];
  for (let row = 0; ending === 0 && length < steps; ) {
    const bit = length * actionBits;
    action[0] = (actions[bit >> 3]! >> (bit & 7)) & (2 ** actionBits - 1);
    batch.step(action, length, rewards, terminated, truncated);
    length += 1;
    total += rewards[0]!;
    ending = terminated[0]! + 2 * truncated[0]!;
    if (length % stride !== 0 && length !== steps) continue;
    const state = expected.subarray(row * width, (row + 1) * width);
    for (const [i, value] of state.entries()) {
      difference = Math.max(difference, Math.abs(value - batch.states[i]!));
    }
    if (afresh) batch.states.set(state);
    row += 1;
  }
  return { length, total, ending, difference };
}

const isWild = ({ wild }: Recording, [, , , spread]: Recorded) => spread === null || spread > wild;

const sameEnd = (episode: Recorded, got: Replayed) =>
  got.length === episode[0] && got.total === episode[1] && got.ending === episode[2];

const tasks = [
  { name: 'cartpole', create: createCartPole, bits: 1 },
  { name: 'acrobot', create: createAcrobot, bits: 2 },
  { name: 'mountain-car', create: createMountainCar, bits: 2 },
];

for (const { name, create, bits } of tasks) {
  const recording = read(name);
  const { origin, episodes } = recording;
  const whole = episodes.map((episode) => replay(create, bits, recording, episode, false));
  const agrees = (index: number) =>
    sameEnd(episodes[index]!, whole[index]!) && whole[index]!.difference <= TOLERANCE;

  test(`${name}: the record has episodes that reach a terminal state and the time limit`, () => {
    for (const ending of Object.values(ENDINGS)) {
      expect(episodes.some((episode) => (episode[2] & ending) !== 0)).toBe(true);
    }
  });

  test(`${name}: nine whole episodes in ten, and 1,000 of the committed ones, agree with ${origin} within 1e-9`, () => {
    const agreeing = whole.filter((_, index) => agrees(index)).length;
    expect(agreeing).toBeGreaterThanOrEqual(0.9 * episodes.length);
    if (process.env.GRAIL_VECTORS_CLASSIC_CONTROL === undefined) {
      expect(agreeing).toBeGreaterThanOrEqual(1000);
    }
  });

  test(`${name}: every whole episode agrees that last-bit changes do not turn into another one`, () => {
    const settled = [...episodes.keys()].filter((index) => !isWild(recording, episodes[index]!));
    expect(settled.length).toBeGreaterThan(0);
    expect(settled.filter((index) => !agrees(index)).map((index) => [index, whole[index]])).toEqual([]);
  });

  test(`${name}: every episode agrees from each recorded state to the next, and ends alike`, () => {
    const pieces = episodes.map((episode) => replay(create, bits, recording, episode, true));
    const wrong = [...pieces.entries()].filter(
      ([index, got]) => !sameEnd(episodes[index]!, got) || got.difference > TOLERANCE,
    );
    expect(wrong).toEqual([]);
  });
}

test('acrobot: with the same sine in Gymnasium’s code, long and wild episodes agree to the last bit', () => {
  const recording = read('acrobot-own-sine');
  expect(recording.episodes.some((episode) => isWild(recording, episode))).toBe(true);
  const got = recording.episodes.map((episode) => replay(createAcrobot, 2, recording, episode, false));
  const wrong = [...got.entries()].filter(
    ([index, one]) => !sameEnd(recording.episodes[index]!, one) || one.difference !== 0,
  );
  expect(wrong).toEqual([]);
});
