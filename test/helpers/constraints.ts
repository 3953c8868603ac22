import { FIELD_ORDER, inverse, signedToField } from '../../src/proofs/fields.ts';
import type { R1cs } from '../../src/proofs/r1cs.ts';

/** A linear form over a circuit's wires: coefficient by wire. */
export type Form = ReadonlyMap<number, bigint>;

/** `a · b = c`. */
export interface Constraint {
  readonly a: Form;
  readonly b: Form;
  readonly c: Form;
  /** Whether it leaves a choice of two values to one form: `a = 0` or `b = 0`, which differ by a constant and a factor. */
  readonly choice: boolean;
}

/** A constraint system row by row, as those need it who take it apart. */
export interface Constraints {
  readonly wires: number;
  readonly publics: number;
  readonly rows: readonly Constraint[];
  /** Wires of each row but the constant one. */
  readonly members: readonly (readonly number[])[];
  /** Rows in which each wire stands. */
  readonly uses: readonly (readonly number[])[];
  /** Wires that a row of their own makes 0 or 1. */
  readonly bits: ReadonlySet<number>;
}

export function constraintsOf({ wires, publics, constraints, a, b, c }: R1cs): Constraints {
  const forms = [a, b, c].map((matrix) => {
    const list = Array.from({ length: constraints }, () => new Map<number, bigint>());
    for (let k = 0; k < matrix.rows.length; k++) {
      const form = list[matrix.rows[k]!]!;
      const wire = matrix.wires[k]!;
      form.set(wire, ((form.get(wire) ?? 0n) + matrix.values[k]!) % FIELD_ORDER);
    }
    return list;
  });
  const rows = Array.from({ length: constraints }, (_, row): Constraint => {
    const [a, b, c] = [forms[0]![row]!, forms[1]![row]!, forms[2]![row]!];
    return { a, b, c, choice: isChoice(a, b, c) };
  });
  const uses = Array.from({ length: wires }, () => [] as number[]);
  const members = rows.map(({ a, b, c }, row) => {
    const all = new Set([...a.keys(), ...b.keys(), ...c.keys()]);
    all.delete(0);
    for (const wire of all) uses[wire]!.push(row);
    return [...all];
  });
  const bits = new Set<number>();
  for (const [row, { choice, a, b }] of rows.entries()) {
    const [wire, ...others] = members[row]!;
    if (!choice || others.length > 0) continue;
    if ([a, b].every((form) => isBit(rootOf(form, wire!)))) bits.add(wire!);
  }
  return { wires, publics, rows, members, uses, bits };
}

function isChoice(a: Form, b: Form, c: Form): boolean {
  if (c.size > 0) return false;
  const wire = [...a.keys()].find((key) => key !== 0);
  if (wire === undefined || !b.has(wire)) return false;
  const ratio = b.get(wire)! * inverse(a.get(wire)!);
  const keys = new Set([...a.keys(), ...b.keys()]);
  for (const key of keys) {
    const difference = ((b.get(key) ?? 0n) - ratio * (a.get(key) ?? 0n)) % FIELD_ORDER;
    if ((difference === 0n) === (key === 0)) return false;
  }
  return keys.has(0);
}

/** Where a form in one wire is zero. */
function rootOf(form: Form, wire: number): bigint {
  return signedToField(-(form.get(0) ?? 0n) * inverse(form.get(wire)!));
}

function isBit(value: bigint): boolean {
  return value === 0n || value === 1n;
}

/** A form's value. */
export function evaluate(form: Form, witness: readonly bigint[]): bigint {
  let sum = 0n;
  for (const [wire, value] of form) sum += value * witness[wire]!;
  return sum % FIELD_ORDER;
}

export function holds({ a, b, c }: Constraint, witness: readonly bigint[]): boolean {
  return (evaluate(a, witness) * evaluate(b, witness) - evaluate(c, witness)) % FIELD_ORDER === 0n;
}
