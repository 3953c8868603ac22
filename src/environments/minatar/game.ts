import type { Environment, EnvironmentBatch } from '../environment.ts';
import { type Draws, PhiloxDraws, STICKY } from './draws.ts';
import { GRID, picture } from './picture.ts';

/** The rules of one game and the states of `batch` episodes of it. */
export interface Game {
  /** Sets episode `index` to a start state. */
  start(index: number, draws: Draws): void;
  /** Plays one frame and returns its reward. */
  frame(index: number, action: number, draws: Draws): number;
  /** Whether episode `index` is in a terminal state. */
  ended(index: number): boolean;
  /** Sets the cells of episode `index` in `out[at..]`, `[10, 10, channels]` int8, which is 0 before. */
  observe(index: number, out: Int8Array, at: number): void;
  /** What the picture does not show, in a line. */
  status(index: number): string;
}

/** What makes a game an environment. */
export interface GameDefinition {
  readonly name: string;
  readonly summary: string;
  /** `[channels]`, in the order of the Python package. */
  readonly channels: readonly string[];
  /** `[channels]`: two characters a cell for the picture. An earlier channel covers a later one; '' is not drawn. */
  readonly glyphs: readonly string[];
  /** The minimal action set of the Python package, in its order; the first does nothing. */
  readonly actionNames: readonly string[];
  /** Of games whose episodes cannot be longer. */
  readonly maxEpisodeSteps?: number;
  create(batch: number): Game;
}

/** What all games share: sticky actions, the end of an episode, arrays in and out. */
class MinAtarBatch implements EnvironmentBatch {
  readonly batch: number;
  readonly #definition: GameDefinition;
  readonly #game: Game;
  readonly #draws: Draws;
  readonly #width: number;
  /** `[batch]`: what was done in the last frame; a start state counts as having done nothing. */
  readonly #last: Uint8Array;
  /** `[batch]`: 1 while an episode may be stepped. */
  readonly #running: Uint8Array;

  constructor(definition: GameDefinition, batch: number, draws: Draws) {
    this.batch = batch;
    this.#definition = definition;
    this.#game = definition.create(batch);
    this.#draws = draws;
    this.#width = GRID * GRID * definition.channels.length;
    this.#last = new Uint8Array(batch);
    this.#running = new Uint8Array(batch);
  }

  reset(index: number, taskSeed: Uint8Array): void {
    this.#draws.beginStart(taskSeed);
    this.#game.start(index, this.#draws);
    this.#last[index] = 0;
    this.#running[index] = 1;
  }

  seed(index: number, environmentSeed: Uint8Array): void {
    this.#draws.seed(index, environmentSeed);
  }

  observe(out: Int8Array): void {
    out.fill(0, 0, this.batch * this.#width);
    for (let index = 0; index < this.batch; index++) this.#game.observe(index, out, index * this.#width);
  }

  step(
    actions: Uint16Array,
    slotStep: number,
    rewards: Float32Array,
    terminated: Uint8Array,
    truncated: Uint8Array,
  ): void {
    const game = this.#game;
    const draws = this.#draws;
    const count = this.#definition.actionNames.length;
    for (let index = 0; index < this.batch; index++) {
      if (this.#running[index] === 0)
        throw new RangeError(`episode ${index} must be reset before its next step`);
      const wanted = actions[index]!;
      if (wanted >= count) {
        throw new RangeError(`${this.#definition.name} has actions 0 to ${count - 1}, not ${wanted}`);
      }
      draws.beginStep(index, slotStep);
      const action = draws.chance(STICKY) ? this.#last[index]! : wanted;
      this.#last[index] = action;
      rewards[index] = game.frame(index, action, draws);
      const ended = game.ended(index);
      terminated[index] = ended ? 1 : 0;
      truncated[index] = 0;
      this.#running[index] = ended ? 0 : 1;
    }
  }

  draw(index: number): string {
    const cells = new Int8Array(this.#width);
    this.#game.observe(index, cells, 0);
    return `${picture(cells, this.#definition.glyphs)}\n${this.#game.status(index)}`;
  }
}

/** A batch of a game with draws of one's own: for tests against recorded ones. */
export function createGame(
  definition: GameDefinition,
  batch: number,
  draws: Draws = new PhiloxDraws(batch),
): EnvironmentBatch {
  return new MinAtarBatch(definition, batch, draws);
}

/** The environment `MinAtar/NAME-v1` of a game: sticky actions with probability 0.1, difficulty ramping. */
export function gameEnvironment(definition: GameDefinition): Environment {
  const { name, summary, channels, actionNames } = definition;
  return {
    id: `MinAtar/${name}-v1`,
    summary,
    source: 'Young and Tian (2019), MinAtar, arXiv:1903.03176; rules of the Python package MinAtar 1.0.15',
    observation: GRID * GRID * channels.length,
    shape: [GRID, GRID, channels.length],
    observed: channels,
    actions: actionNames.length,
    actionNames,
    maxEpisodeSteps: definition.maxEpisodeSteps ?? null,
    create: (batch) => createGame(definition, batch),
  };
}
