import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import type { EnvironmentBatch } from '../../src/environments/environment.ts';
import { type Draws, HALF, STICKY, THIRD } from '../../src/environments/minatar/draws.ts';
import { createGame, type GameDefinition } from '../../src/environments/minatar/game.ts';
import { SEED_BYTES } from '../../src/protocol/seeds.ts';

/** A recording of test/vectors/minatar.py, which describes its fields. */
export interface Recording {
  readonly origin: string;
  readonly game: string;
  readonly seed: number;
  /** Where its draws came from: only those of Philox can be made again. */
  readonly source: 'philox' | 'numpy';
  readonly frames: number;
  readonly episodes: number;
  readonly channels: number;
  readonly full: number;
  readonly stride: number;
  readonly actions: string;
  readonly outcomes: string;
  readonly draws: string;
  readonly states: string;
  readonly hashes: readonly string[];
}

export function readRecording(path: string | URL): Recording {
  return JSON.parse(readFileSync(path, 'utf8'));
}

const unpack = (text: string): Uint8Array => inflateSync(Buffer.from(text, 'base64'));

/** Outcomes written down instead of drawn; a question of another kind than the recorded one throws. */
export class RecordedDraws implements Draws {
  readonly #outcomes: Uint8Array;
  #next = 0;

  constructor(outcomes: Uint8Array) {
    this.#outcomes = outcomes;
  }

  get left(): number {
    return this.#outcomes.length - this.#next;
  }

  seed(): void {}
  beginStart(): void {}
  beginStep(): void {}

  chance(threshold: number): boolean {
    const kind = [STICKY, HALF, THIRD].indexOf(threshold);
    const outcome = this.#outcomes[this.#next];
    if (outcome === undefined || outcome >>> 1 !== kind) {
      throw new Error(`draw ${this.#next} is ${outcome}, not chance ${kind}`);
    }
    this.#next += 1;
    return (outcome & 1) === 1;
  }

  below(n: number): number {
    const outcome = this.#outcomes[this.#next];
    if (outcome === undefined || outcome >>> 3 !== 16 + n - 1) {
      throw new Error(`draw ${this.#next} is ${outcome}, not below ${n}`);
    }
    this.#next += 1;
    return outcome & 7;
  }
}

/** Bits of `cells` as numpy.packbits packs them. @throws Error when a cell is neither 0 nor 1 */
function packBits(cells: Int8Array): Uint8Array {
  const bits = new Uint8Array(Math.ceil(cells.length / 8));
  for (const [i, cell] of cells.entries()) {
    if (cell !== 0 && cell !== 1) throw new Error(`cell ${i} is ${cell}`);
    bits[i >>> 3]! |= cell << (7 - (i & 7));
  }
  return bits;
}

/** A packed state as lines of cells, for a message: each cell the hexadecimal of its channels' bits, '.' when empty. */
function show(state: Uint8Array, channels: number): string {
  let text = '';
  for (let cell = 0; cell < 100; cell++) {
    let bits = 0;
    for (let c = 0; c < channels; c++) {
      const at = cell * channels + c;
      bits |= ((state[at >>> 3]! >>> (7 - (at & 7))) & 1) << c;
    }
    text += `${bits === 0 ? '.' : bits.toString(16)}${cell % 10 === 9 ? '\n' : '\t'}`;
  }
  return text;
}

const seedOf = (text: string): Uint8Array =>
  createHash('sha256').update(text).digest().subarray(0, SEED_BYTES);

/**
 * Plays a recording's actions through `definition` and compares everything that it holds.
 *
 * @param from `recorded`: with the recorded draws; `seeds`: with draws of one's own from the recording's seeds
 * @returns frames played
 * @throws Error at the first difference, with its frame
 */
export function replay(recording: Recording, definition: GameDefinition, from: 'recorded' | 'seeds'): number {
  const actions = unpack(recording.actions);
  const outcomes = unpack(recording.outcomes);
  const states = unpack(recording.states);
  const draws = new RecordedDraws(unpack(recording.draws));
  const batch = createGame(definition, 1, from === 'recorded' ? draws : undefined);
  batch.seed(0, seedOf(`environment ${recording.seed}`));
  let episode = 0;
  const cells = new Int8Array(100 * recording.channels);
  const stateBytes = Math.ceil(cells.length / 8);
  const digest = createHash('sha256');
  const [action, reward, terminated, truncated] = [
    new Uint16Array(1),
    new Float32Array(1),
    new Uint8Array(1),
    new Uint8Array(1),
  ];
  let stateAt = 0;
  const look = (frame: number, compared: boolean) => {
    batch.observe(cells);
    const state = packBits(cells);
    digest.update(state);
    if (!compared) return;
    const expected = states.subarray(stateAt, stateAt + stateBytes);
    stateAt += stateBytes;
    if (Buffer.compare(state, expected) !== 0) {
      throw new Error(
        `frame ${frame}: expected\n${show(expected, recording.channels)}got\n${show(state, recording.channels)}`,
      );
    }
  };
  const checkHash = (frame: number, expected: string | undefined) => {
    const got = digest.copy().digest('hex').slice(0, 16);
    if (got !== expected) throw new Error(`states up to frame ${frame} hash to ${got}, not to ${expected}`);
  };
  let ended = true;
  for (let frame = 1; frame <= recording.frames; frame++) {
    if (ended) {
      batch.reset(0, seedOf(`task ${recording.seed} ${episode++}`));
      look(frame - 1, frame <= recording.full);
    }
    action[0] = actions[frame - 1]!;
    batch.step(action, frame - 1, reward, terminated, truncated);
    const outcome = outcomes[frame - 1]!;
    if (reward[0] !== (outcome & 127)) {
      throw new Error(`frame ${frame}: expected reward ${outcome & 127}, got ${reward[0]}`);
    }
    ended = terminated[0] === 1;
    if (ended !== outcome >= 128 || truncated[0] !== 0) {
      throw new Error(`frame ${frame}: expected ${outcome >= 128 ? 'the end' : 'no end'}`);
    }
    const marked = frame % recording.stride === 0;
    look(frame, frame <= recording.full || marked);
    if (marked) checkHash(frame, recording.hashes[frame / recording.stride - 1]);
  }
  checkHash(recording.frames, recording.hashes.at(-1));
  if (stateAt !== states.length) throw new Error(`${states.length - stateAt} bytes of states are left`);
  if (from === 'recorded' && draws.left !== 0) throw new Error(`${draws.left} draws are left`);
  return recording.frames;
}

/** Draws that a test chooses: what `chances` and `belows` say for each question's threshold or n; false and 0 elsewhere. */
export class ChosenDraws implements Draws {
  /** By threshold. */
  readonly chances = new Map<number, boolean>();
  /** By n; the question before this one is given. */
  readonly belows = new Map<number, (before: number) => number>();
  /** Every question that was asked, thresholds and n alike. */
  readonly asked: number[] = [];

  seed(): void {}
  beginStart(): void {}
  beginStep(): void {}

  chance(threshold: number): boolean {
    this.asked.push(threshold);
    return this.chances.get(threshold) ?? false;
  }

  below(n: number): number {
    this.asked.push(n);
    return this.belows.get(n)?.(this.asked.at(-2) ?? 0) ?? 0;
  }
}

/** One episode of a game on a test's draws. */
export class OneGame {
  readonly draws = new ChosenDraws();
  readonly #batch: EnvironmentBatch;
  readonly #definition: GameDefinition;
  ended = false;

  constructor(definition: GameDefinition, prepare: (draws: ChosenDraws) => void = () => {}) {
    this.#definition = definition;
    prepare(this.draws);
    this.#batch = createGame(definition, 1, this.draws);
    this.#batch.reset(0, new Uint8Array(16));
  }

  /** Takes the named action `times` times; returns the rewards' sum. */
  do(name: string, times = 1): number {
    const reward = new Float32Array(1);
    const terminated = new Uint8Array(1);
    const action = Uint16Array.of(this.#definition.actionNames.indexOf(name));
    let sum = 0;
    for (let i = 0; i < times; i++) {
      this.#batch.step(action, i, reward, terminated, new Uint8Array(1));
      sum += reward[0]!;
    }
    this.ended = terminated[0] === 1;
    return sum;
  }

  /** `[column, row]` of every set cell of a channel, row by row. */
  cells(channel: string): [number, number][] {
    const channels = this.#definition.channels;
    const cells = new Int8Array(100 * channels.length);
    this.#batch.observe(cells);
    const found: [number, number][] = [];
    for (let cell = 0; cell < 100; cell++) {
      if (cells[cell * channels.length + channels.indexOf(channel)] === 1) {
        found.push([cell % 10, Math.floor(cell / 10)]);
      }
    }
    return found;
  }

  get status(): string {
    return this.#batch.draw(0).split('\n').at(-1)!;
  }
}
