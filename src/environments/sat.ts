import { INT8_MAX } from '../params/constants.ts';
import { seedBlock, seedWords } from '../policy/philox.ts';
import type { Environment, EnvironmentBatch } from './environment.ts';
import { type Propagation, propagateUnits } from './unit-propagation.ts';

/**
 * SAT-v1: random 3-SAT near the threshold. An episode assigns the variables of one instance in order, one a step; each
 * step is paid 1/64 for every clause that it satisfies, the last one 1 more when all are. All rewards are dyadic.
 */

export const SAT_VARIABLES = 15;
/** 64/15 = 4.267, where half of all large random instances are satisfiable. */
export const SAT_CLAUSES = 64;
const LITERALS = 3;
const INSTANCE = SAT_CLAUSES * LITERALS;
const BONUS = 1;

/** `free` of a clause that is satisfied. */
const SATISFIED = -1;

/** Observation: variables in turn, pairs with the current variable, totals, what each choice leads to. */
const VARIABLE_VALUES = 6;
const PAIRS = SAT_VARIABLES * VARIABLE_VALUES;
const PAIR_VALUES = 4;
const TOTALS = PAIRS + (SAT_VARIABLES - 1) * PAIR_VALUES;
const CHOICES = TOTALS + 6;
const CHOICE_VALUES = 4;
const WIDTH = CHOICES + 2 * CHOICE_VALUES;

/** `[4]`: what a clause with 1, 2 or 3 free literals adds to a count of its variables: its urgency, 2^−free. */
const URGENCY = [0, 32, 16, 8] as const;
const TOTAL_SCALES = [0, 16, 4, 2] as const;
const FALSIFIED_SCALE = 16;
const TURN_SCALE = 8;
const CONFLICT = 64;
const FORCED_SCALE = 8;

/** Clause j is made of the four words of block (0, j); see `satClauses`. */
function drawClauses(words: Uint32Array, block: Uint32Array, out: Uint8Array, at: number): void {
  for (let clause = 0; clause < SAT_CLAUSES; clause++) {
    seedBlock(words, 0, 0, clause, block);
    const first = Math.floor((block[0]! * SAT_VARIABLES) / 2 ** 32);
    let second = Math.floor((block[1]! * (SAT_VARIABLES - 1)) / 2 ** 32);
    let third = Math.floor((block[2]! * (SAT_VARIABLES - 2)) / 2 ** 32);
    if (second >= first) second += 1;
    if (third >= Math.min(first, second)) third += 1;
    if (third >= Math.max(first, second)) third += 1;
    const signs = block[3]!;
    const row = at + clause * LITERALS;
    out[row] = 2 * first + (signs & 1);
    out[row + 1] = 2 * second + ((signs >>> 1) & 1);
    out[row + 2] = 2 * third + ((signs >>> 2) & 1);
  }
}

/**
 * The instance of a 16-byte task seed: `[64, 3]` literals, 2 · variable, plus 1 when it is negated.
 *
 * Clause j is made of the words u0…u3 of the seed's Philox block (step 0, block j): the first variable is
 * ⌊15·u0 / 2^32⌋, the second the ⌊14·u1 / 2^32⌋-th of those left, the third the ⌊13·u2 / 2^32⌋-th of those left then;
 * bit i of u3 negates literal i. Clauses may repeat, as in the usual model of random 3-SAT.
 */
export function satClauses(taskSeed: Uint8Array): Uint8Array {
  const out = new Uint8Array(INSTANCE);
  drawClauses(seedWords(taskSeed), new Uint32Array(4), out, 0);
  return out;
}

class SatBatch implements EnvironmentBatch {
  readonly batch: number;
  /** `[batch, 64, 3]`. */
  readonly #clauses: Uint8Array;
  /** `[batch, 64]`: free literals of a clause that no assignment satisfies yet; 0: falsified; −1: satisfied. */
  readonly #free: Int8Array;
  /** `[batch, 64]`: the variables of a clause's positive and of its negated literals, a bit each. */
  readonly #positive: Uint16Array;
  readonly #negative: Uint16Array;
  /** `[batch]`: the variables that are true, a bit each. */
  readonly #truths: Uint16Array;
  /** `[batch]`: the variable whose turn it is; −1 before the first reset, 15 at the end. */
  readonly #turn: Int8Array;
  readonly #satisfied: Uint8Array;
  readonly #words = new Uint32Array(4);
  readonly #block = new Uint32Array(4);
  readonly #propagation: Propagation = { truths: 0, falsities: 0, conflict: false, twos: 0, threes: 0 };

  constructor(batch: number) {
    this.batch = batch;
    this.#clauses = new Uint8Array(batch * INSTANCE);
    this.#free = new Int8Array(batch * SAT_CLAUSES);
    this.#positive = new Uint16Array(batch * SAT_CLAUSES);
    this.#negative = new Uint16Array(batch * SAT_CLAUSES);
    this.#truths = new Uint16Array(batch);
    this.#turn = new Int8Array(batch).fill(-1);
    this.#satisfied = new Uint8Array(batch);
  }

  reset(index: number, taskSeed: Uint8Array): void {
    drawClauses(seedWords(taskSeed, this.#words), this.#block, this.#clauses, index * INSTANCE);
    this.#free.fill(LITERALS, index * SAT_CLAUSES, (index + 1) * SAT_CLAUSES);
    this.#truths[index] = 0;
    this.#turn[index] = 0;
    this.#satisfied[index] = 0;
    for (let clause = index * SAT_CLAUSES; clause < (index + 1) * SAT_CLAUSES; clause++) {
      this.#positive[clause] = 0;
      this.#negative[clause] = 0;
      for (let i = 0; i < LITERALS; i++) {
        const literal = this.#clauses[clause * LITERALS + i]!;
        const masks = literal & 1 ? this.#negative : this.#positive;
        masks[clause]! |= 1 << (literal >>> 1);
      }
    }
  }

  /** SAT has no randomness of its own. */
  seed(): void {}

  observe(out: Int8Array): void {
    out.fill(0, 0, this.batch * WIDTH);
    for (let index = 0; index < this.batch; index++) this.#observe(index, out, index * WIDTH);
  }

  #observe(index: number, out: Int8Array, row: number): void {
    const turn = this.#turn[index]!;
    const clauses = this.#clauses;
    for (let clause = 0; clause < SAT_CLAUSES; clause++) {
      const free = this.#free[index * SAT_CLAUSES + clause]!;
      if (free === SATISFIED) continue;
      if (free === 0) {
        add(out, row + TOTALS, FALSIFIED_SCALE);
        continue;
      }
      add(out, row + TOTALS + free, TOTAL_SCALES[free]!);
      const urgency = URGENCY[free]!;
      const at = index * INSTANCE + clause * LITERALS;
      let current = -1;
      for (let i = 0; i < LITERALS; i++) {
        const literal = clauses[at + i]!;
        const ahead = (literal >>> 1) - turn;
        if (ahead < 0) continue;
        if (ahead === 0) current = literal & 1;
        add(out, row + ahead * VARIABLE_VALUES + (literal & 1) * LITERALS + free - 1, urgency);
      }
      if (current < 0) continue;
      for (let i = 0; i < LITERALS; i++) {
        const literal = clauses[at + i]!;
        const ahead = (literal >>> 1) - turn;
        if (ahead > 0) {
          add(out, row + PAIRS + (ahead - 1) * PAIR_VALUES + 2 * current + (literal & 1), urgency);
        }
      }
    }
    out[row + TOTALS + 4] = this.#satisfied[index]!;
    out[row + TOTALS + 5] = TURN_SCALE * turn;
    if (turn >= SAT_VARIABLES) return;
    for (let value = 0; value < 2; value++)
      this.#foresee(index, value, out, row + CHOICES + value * CHOICE_VALUES);
  }

  /** What giving the current variable `value` and propagating units leads to. */
  #foresee(index: number, value: number, out: Int8Array, at: number): void {
    const turn = this.#turn[index]!;
    const assigned = (1 << turn) - 1;
    const state = this.#propagation;
    const truths = this.#truths[index]!;
    state.truths = truths | (value << turn);
    state.falsities = (assigned & ~truths) | ((1 - value) << turn);
    propagateUnits(this.#positive, this.#negative, this.#free, index * SAT_CLAUSES, SAT_CLAUSES, state);
    if (state.conflict) {
      out[at] = CONFLICT;
      return;
    }
    let forced = (state.truths | state.falsities) >>> (turn + 1);
    for (; forced !== 0; forced &= forced - 1) add(out, at + 1, FORCED_SCALE);
    add(out, at + 2, state.twos * TOTAL_SCALES[2]);
    add(out, at + 3, state.threes * TOTAL_SCALES[3]);
  }

  step(
    actions: Uint16Array,
    _slotStep: number,
    rewards: Float32Array,
    terminated: Uint8Array,
    truncated: Uint8Array,
  ): void {
    for (let index = 0; index < this.batch; index++) {
      const turn = this.#turn[index]!;
      if (turn < 0 || turn >= SAT_VARIABLES) {
        throw new RangeError(`episode ${index} must be reset before its next step`);
      }
      const action = actions[index]!;
      if (action > 1) throw new RangeError(`SAT has actions 0 (false) and 1 (true), not ${action}`);
      if (action === 1) this.#truths[index]! |= 1 << turn;
      const gained = this.#assign(index, 2 * turn + 1 - action);
      this.#satisfied[index]! += gained;
      this.#turn[index] = turn + 1;
      const ended = turn + 1 === SAT_VARIABLES;
      const solved = ended && this.#satisfied[index] === SAT_CLAUSES;
      rewards[index] = gained / SAT_CLAUSES + (solved ? BONUS : 0);
      terminated[index] = ended ? 1 : 0;
      truncated[index] = 0;
    }
  }

  /** Makes `literal` true and its negation false; gives the number of clauses that it satisfies. */
  #assign(index: number, literal: number): number {
    const clauses = this.#clauses;
    const negation = literal ^ 1;
    let gained = 0;
    for (let clause = 0; clause < SAT_CLAUSES; clause++) {
      const at = index * SAT_CLAUSES + clause;
      if (this.#free[at] === SATISFIED) continue;
      const row = at * LITERALS;
      for (let i = 0; i < LITERALS; i++) {
        if (clauses[row + i] === literal) {
          this.#free[at] = SATISFIED;
          gained += 1;
        } else if (clauses[row + i] === negation) {
          this.#free[at]! -= 1;
        }
      }
    }
    return gained;
  }

  draw(index: number): string {
    const turn = Math.max(0, this.#turn[index]!);
    const lines = ['', ''];
    for (let variable = 0; variable < SAT_VARIABLES; variable++) {
      lines[0] += ` ${letter(2 * variable)} `;
      const value = (this.#truths[index]! >>> variable) & 1;
      lines[1] += variable < turn ? ` ${value} ` : variable === turn ? '[?]' : ' · ';
    }
    const satisfied = this.#satisfied[index]!;
    let falsified = 0;
    for (let clause = 0; clause < SAT_CLAUSES; clause++) {
      if (clause % 8 === 0) lines.push('');
      const free = this.#free[index * SAT_CLAUSES + clause]!;
      if (free === 0) falsified += 1;
      let text = free === SATISFIED ? '✓' : free === 0 ? '✗' : '○';
      for (let i = 0; i < LITERALS; i++) {
        const literal = this.#clauses[index * INSTANCE + clause * LITERALS + i]!;
        const known = literal >>> 1 < turn;
        const holds = ((this.#truths[index]! >>> (literal >>> 1)) & 1) !== (literal & 1);
        text += known && !holds ? '-' : letter(literal);
      }
      lines[lines.length - 1] += ` ${text} `;
    }
    lines.splice(2, 0, '');
    lines.push('', ` ${'█'.repeat(satisfied >>> 1)}${'░'.repeat(32 - (satisfied >>> 1))}`);
    lines.push(
      ` ✓ ${satisfied} satisfied, ✗ ${falsified} falsified, ○ ${SAT_CLAUSES - satisfied - falsified} open`,
    );
    lines.push(' b: b is true, B: b is false, -: a literal that fails');
    return lines.join('\n');
  }
}

/** Adds to a count that stops at 127. */
function add(out: Int8Array, at: number, amount: number): void {
  out[at] = Math.min(out[at]! + amount, INT8_MAX);
}

/** `a` for variable 0, `A` for its negation. */
function letter(literal: number): string {
  return String.fromCharCode((literal & 1 ? 65 : 97) + (literal >>> 1));
}

export const sat: Environment = {
  id: 'SAT-v1',
  summary: `Random 3-SAT with ${SAT_VARIABLES} variables and ${SAT_CLAUSES} clauses: assign the variables in turn; 1/64 a satisfied clause, and 1 when all are.`,
  source:
    'GRAIL; the distribution of Mitchell, Selman and Levesque, “Hard and easy distributions of SAT problems”, AAAI 1992',
  observation: WIDTH,
  shape: [WIDTH],
  observed: [
    'live clauses with variable turn + k, by polarity and by free literals 1, 2, 3[0..89]',
    'live clauses with the current variable and variable turn + k, by both polarities[90..145]',
    'falsified clauses',
    'live clauses with 1 free literal',
    'live clauses with 2 free literals',
    'live clauses with 3 free literals',
    'satisfied clauses',
    'turn',
    'of false: conflict after unit propagation, variables forced, clauses left with 2 and with 3 free literals[152..155]',
    'of true: the same[156..159]',
  ],
  actions: 2,
  actionNames: ['false', 'true'],
  maxEpisodeSteps: SAT_VARIABLES,
  create: (batch) => new SatBatch(batch),
};
