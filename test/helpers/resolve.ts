import { FIELD_ORDER, inverse, signedToField } from '../../src/proofs/fields.ts';
import { type Constraint, type Constraints, evaluate, type Form, holds } from './constraints.ts';

/**
 * Re-solves a witness of which one wire was changed, as a prover would who has no code but the constraints: what depends on
 * the change is derived anew from constraints in which one wire is left to find, or the digits of a sum; what is still open
 * then keeps its honest value.
 */
export class Resolver {
  readonly #system: Constraints;
  readonly #honest: readonly bigint[];
  /** Wires that are chosen before anything is derived from them, in this order. */
  readonly #choices: readonly number[];
  /** Wires that are derived from each wire when the honest witness is computed. */
  readonly #feeds: readonly (readonly number[])[] | undefined;
  /** Wires that nothing led to: they keep their value, whatever others do. */
  readonly assumed = new Set<number>();
  /** Rows that hold bits at powers of two which are not the digits of one number. */
  readonly #noDigits = new Set<number>();

  /** @param choices wires that a prover chooses; others are derived from them where constraints allow */
  constructor(system: Constraints, honest: readonly bigint[], choices: readonly number[]) {
    this.#system = system;
    this.#honest = honest;
    this.#choices = choices;
    const feeds = Array.from({ length: system.wires }, () => new Set<number>());
    const values = new Array<bigint | undefined>(system.wires).fill(undefined);
    values[0] = 1n;
    const derived = this.#derive(values, (wires, row) => {
      for (const from of system.members[row]!) for (const to of wires) if (to !== from) feeds[from]!.add(to);
    });
    if (!derived || values.some((value, wire) => value !== honest[wire])) {
      throw new Error('the constraints do not lead from these choices to the witness');
    }
    this.#feeds = feeds.map((set) => [...set]);
  }

  /**
   * Whether every constraint holds again when `wire` has this value and all that depends on it is derived anew.
   * @param fixed wires that keep their value
   */
  holdsWith(wire: number, value: bigint, fixed: (wire: number) => boolean): boolean {
    const moved = new Set<number>([wire]);
    for (const from of moved) {
      for (const to of this.#feeds![from]!) if (!fixed(to)) moved.add(to);
    }
    const values: (bigint | undefined)[] = [...this.#honest];
    for (const other of moved) values[other] = undefined;
    values[wire] = value;
    return this.#derive(values, () => {}, moved);
  }

  /** Fills in what is undefined; false as soon as a constraint is violated. */
  #derive(
    values: (bigint | undefined)[],
    note: (wires: readonly number[], row: number) => void,
    moved?: ReadonlySet<number>,
  ): boolean {
    const { rows, members, uses, wires } = this.#system;
    const touched = new Set<number>();
    for (const wire of moved ?? Array.from({ length: wires }, (_, i) => i)) {
      for (const row of uses[wire]!) touched.add(row);
    }
    const open = new Map<number, number>();
    const queue: number[] = [];
    for (const row of touched) {
      let count = 0;
      for (const wire of members[row]!) if (values[wire] === undefined) count += 1;
      if (count === 0 && !holds(rows[row]!, values as bigint[])) return false;
      open.set(row, count);
      if (count === 1 || count === 2) queue.push(row);
    }
    let sound = true;
    const set = (wire: number, value: bigint) => {
      values[wire] = value;
      for (const row of uses[wire]!) {
        const count = open.get(row)! - 1;
        open.set(row, count);
        if (count === 0) sound &&= holds(rows[row]!, values as bigint[]);
        else if (count <= 2) queue.push(row);
      }
    };
    const rest = [...(moved ?? Array.from({ length: wires - 1 }, (_, i) => i + 1))];
    const choose = (from: readonly number[], at: number): number => {
      let next = at;
      while (next < from.length && values[from[next]!] !== undefined) next += 1;
      return next;
    };
    let chosen = 0;
    let assumed = 0;
    while (sound) {
      const row = queue.shift();
      if (row !== undefined) {
        const missing = members[row]!.filter((wire) => values[wire] === undefined);
        if (missing.length === 0 || missing.length > 2) continue;
        const found = this.#solve(rows[row]!, missing, values);
        if (found === undefined) continue;
        note([found[0]], row);
        set(...found);
        continue;
      }
      chosen = choose(this.#choices, chosen);
      if (chosen < this.#choices.length) {
        set(this.#choices[chosen]!, this.#honest[this.#choices[chosen]!]!);
        continue;
      }
      if (this.#digits(touched, open, values, note, set)) continue;
      assumed = choose(rest, assumed);
      if (assumed === rest.length) return true;
      if (moved === undefined) this.assumed.add(rest[assumed]!);
      set(rest[assumed]!, this.#honest[rest[assumed]!]!);
    }
    return false;
  }

  /** The wire that a row leaves one value, if it does. */
  #solve(
    { a, b, c, choice }: Constraint,
    missing: readonly number[],
    values: readonly (bigint | undefined)[],
  ): [wire: number, value: bigint] | undefined {
    const [left, right, out] = [a, b, c].map((form) => knownPart(form, values)) as [bigint, bigint, bigint];
    const slope = (wire: number) =>
      signedToField(left * (b.get(wire) ?? 0n) + right * (a.get(wire) ?? 0n) - (c.get(wire) ?? 0n));
    for (const first of missing) {
      for (const second of missing) {
        if (((a.get(first) ?? 0n) * (b.get(second) ?? 0n)) % FIELD_ORDER === 0n) continue;
        // Of two values that a form may have, the one that it had; a bit of its own is a choice.
        const [only, ...others] = missing;
        if (!choice || others.length > 0 || this.#system.bits.has(only!)) return undefined;
        const form = evaluate(a, this.#honest) === 0n ? a : b;
        const [known, coefficient] = [form === a ? left : right, form.get(only!)!];
        return [only!, signedToField(-known * inverse(coefficient))];
      }
    }
    const sloping = missing.filter((wire) => slope(wire) !== 0n);
    if (sloping.length !== 1) return undefined;
    const wire = sloping[0]!;
    return [wire, signedToField((out - left * right) * inverse(slope(wire)))];
  }

  /** Finds one row whose open wires are the binary digits of a known number, and sets them. */
  #digits(
    candidates: Set<number>,
    open: ReadonlyMap<number, number>,
    values: readonly (bigint | undefined)[],
    note: (wires: readonly number[], row: number) => void,
    set: (wire: number, value: bigint) => void,
  ): boolean {
    const { rows, members, bits } = this.#system;
    for (const row of candidates) {
      // A bit's own row says nothing of which.
      if (open.get(row) === 0 || members[row]!.length === 1) {
        candidates.delete(row);
        continue;
      }
      const missing = members[row]!.filter((wire) => values[wire] === undefined);
      if (!missing.every((wire) => bits.has(wire))) continue;
      const found = this.#noDigits.has(row) ? undefined : digitsOf(rows[row]!, missing, values);
      if (found === undefined) continue;
      if (this.#feeds === undefined && found.some(([wire, digit]) => digit !== this.#honest[wire])) {
        this.#noDigits.add(row);
        continue;
      }
      note(missing, row);
      for (const [wire, value] of found) set(wire, value);
      return true;
    }
    return false;
  }
}

function knownPart(form: Form, values: readonly (bigint | undefined)[]): bigint {
  let sum = 0n;
  for (const [wire, value] of form) {
    const known = values[wire];
    if (known !== undefined) sum += value * known;
  }
  return sum % FIELD_ORDER;
}

/** The digits that make a row hold; where none do, the low ones of what they should add up to. */
function digitsOf(
  { a, b, c, choice }: Constraint,
  missing: readonly number[],
  values: readonly (bigint | undefined)[],
): [wire: number, digit: bigint][] | undefined {
  let forms: Form[];
  if (choice) forms = [a, b];
  else if (a.size === 0 || b.size === 0) forms = [c];
  else return undefined;
  let fallback: [number, bigint][] | undefined;
  for (const form of forms) {
    const places = placesOf(form, missing);
    if (places === undefined) return undefined;
    const target = signedToField(-knownPart(form, values) * inverse(places.unit));
    const digits = missing.map((wire): [number, bigint] => [
      wire,
      (target >> places.exponents.get(wire)!) & 1n,
    ]);
    const sum = digits.reduce((total, [wire, digit]) => total + (digit << places.exponents.get(wire)!), 0n);
    if (sum === target) return digits;
    fallback ??= digits;
  }
  return fallback;
}

/** Exponents e of the wires' coefficients unit · 2^e, if they are such, all different. */
function placesOf(
  form: Form,
  missing: readonly number[],
): { unit: bigint; exponents: Map<number, bigint> } | undefined {
  for (const first of missing) {
    const unit = form.get(first);
    if (unit === undefined) return undefined;
    const back = inverse(unit);
    const exponents = new Map<number, bigint>();
    for (const wire of missing) {
      const power = ((form.get(wire) ?? 0n) * back) % FIELD_ORDER;
      if (power === 0n || power >= 2n ** 64n || (power & (power - 1n)) !== 0n) break;
      exponents.set(wire, BigInt(power.toString(2).length - 1));
    }
    if (exponents.size === missing.length && new Set(exponents.values()).size === missing.length) {
      return { unit, exponents };
    }
  }
  return undefined;
}
