import type { Environment, EnvironmentBatch } from '../../src/environments/index.ts';
import { seedBlock, seedWords } from '../../src/policy/philox.ts';

const SIDE = 4;
const CELLS = SIDE * SIDE;
const MAX_STEPS = 8;
/** Up, down, left, right. */
const MOVES = [
  [-1, 0],
  [1, 0],
  [0, -1],
  [0, 1],
] as const;

class GoalGridBatch implements EnvironmentBatch {
  readonly batch: number;
  readonly #agent: Uint8Array;
  readonly #goal: Uint8Array;
  readonly #age: Uint8Array;
  readonly #block = new Uint32Array(4);

  constructor(batch: number) {
    this.batch = batch;
    this.#agent = new Uint8Array(batch);
    this.#goal = new Uint8Array(batch);
    this.#age = new Uint8Array(batch);
  }

  reset(index: number, taskSeed: Uint8Array): void {
    seedBlock(seedWords(taskSeed), 0, 0, 0, this.#block);
    const goal = this.#block[0]! % CELLS;
    this.#goal[index] = goal;
    this.#agent[index] = (goal + 1 + (this.#block[1]! % (CELLS - 1))) % CELLS;
    this.#age[index] = 0;
  }

  seed(): void {}

  observe(out: Int8Array): void {
    out.fill(0);
    for (let i = 0; i < this.batch; i++) {
      out[(i * CELLS + this.#agent[i]!) * 2] = 1;
      out[(i * CELLS + this.#goal[i]!) * 2 + 1] = 1;
    }
  }

  step(
    actions: Uint16Array,
    _slotStep: number,
    rewards: Float32Array,
    terminated: Uint8Array,
    truncated: Uint8Array,
  ): void {
    for (let i = 0; i < this.batch; i++) {
      const at = this.#agent[i]!;
      const [down, right] = MOVES[actions[i]!]!;
      const row = Math.min(Math.max(Math.floor(at / SIDE) + down, 0), SIDE - 1);
      const column = Math.min(Math.max((at % SIDE) + right, 0), SIDE - 1);
      this.#agent[i] = row * SIDE + column;
      this.#age[i]! += 1;
      const found = this.#agent[i] === this.#goal[i];
      rewards[i] = found ? 1 : 0;
      terminated[i] = found ? 1 : 0;
      truncated[i] = this.#age[i] === MAX_STEPS ? 1 : 0;
    }
  }

  draw(index: number): string {
    return Array.from({ length: CELLS }, (_, cell) =>
      cell === this.#agent[index] ? 'A' : cell === this.#goal[index] ? 'G' : '.',
    ).join('');
  }
}

/**
 * A task small enough to be learnt within seconds by a convolution: walk on a 4 × 4 grid to a goal. With u0 and u1 the first
 * words of block (0, 0) of the task seed, the goal's cell (row · 4 + column) is u0 mod 16 and the agent's (goal + 1 + u1 mod 15)
 * mod 16. Observation `[4, 4, 2]`: 1 at the agent's cell in channel 0 and at the goal's in channel 1. Actions 0 to 3 move
 * up, down, left, right, and nowhere at a wall. The reward is 1 on reaching the goal, which ends the episode; it is
 * truncated at its 8th step.
 */
export const goalGrid: Environment = {
  id: 'GoalGrid',
  summary: 'Walk to the goal.',
  source: 'this test',
  observation: CELLS * 2,
  shape: [SIDE, SIDE, 2],
  observed: ['agent', 'goal'],
  actions: MOVES.length,
  actionNames: ['up', 'down', 'left', 'right'],
  maxEpisodeSteps: MAX_STEPS,
  create: (batch) => new GoalGridBatch(batch),
};
