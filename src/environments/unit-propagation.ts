/** Where unit propagation ended; a caller reuses one. Bit v of a mask stands for variable v. */
export interface Propagation {
  /** Variables that are true. */
  truths: number;
  /** Variables that are false. */
  falsities: number;
  /** Whether a clause was falsified. Then the counts below mean nothing: they depend on the order of clauses. */
  conflict: boolean;
  /** Clauses that stay undecided with 2 and with 3 free literals. */
  twos: number;
  threes: number;
}

/**
 * Assigns what clauses with one free literal force, until none is left or a clause is falsified (Davis, Logemann and
 * Loveland, 1962). Starts from `state.truths` and `state.falsities` and leaves its result there.
 *
 * @param positive variables of each clause's positive literals, `[…, count]` from `at`
 * @param negative those of its negated ones
 * @param live clauses whose entry is not above 0 are left out
 */
export function propagateUnits(
  positive: Uint16Array,
  negative: Uint16Array,
  live: Int8Array,
  at: number,
  count: number,
  state: Propagation,
): void {
  let { truths, falsities } = state;
  state.conflict = false;
  for (let forced = true; forced && !state.conflict; ) {
    forced = false;
    state.twos = 0;
    state.threes = 0;
    for (let clause = at; clause < at + count; clause++) {
      const yes = positive[clause]!;
      const no = negative[clause]!;
      if (live[clause]! <= 0 || ((yes & truths) | (no & falsities)) !== 0) continue;
      const free = (yes | no) & ~(truths | falsities);
      const rest = free & (free - 1);
      if (free === 0) {
        state.conflict = true;
        break;
      }
      if (rest === 0) {
        if ((yes & free) !== 0) truths |= free;
        else falsities |= free;
        forced = true;
      } else if ((rest & (rest - 1)) === 0) state.twos += 1;
      else state.threes += 1;
    }
  }
  state.truths = truths;
  state.falsities = falsities;
}
