import { FIELD_ORDER, inverse, signedToField } from '../../src/proofs/fields.ts';
import { type Constraints, evaluate } from './constraints.ts';

/** In which directions a witness can be moved without any constraint noticing at first order. */
export interface Kernel {
  readonly dimension: number;
  /** Wires that move in one of them. */
  readonly wires: readonly number[];
}

/** A wire's movement as a combination of parameters. */
type Movement = Map<number, bigint>;

/**
 * The kernel of the constraints' derivative at a witness, with respect to `unknown` wires: exact elimination over the field.
 * Rows are taken as soon as one movement is left to find in them, which keeps them sparse; where there is none, a wire
 * becomes a parameter, and the rows that are over strike parameters out.
 *
 * A wire outside the kernel's support is fixed by the others: any two witnesses that agree in the other wires and are close (in the sense
 * of formal neighbourhoods) agree in it too. Bits are never close to their other value: `resolve.ts` tries that.
 */
export function kernelAt(
  { rows, members, uses, wires }: Constraints,
  witness: readonly bigint[],
  unknown: (wire: number) => boolean,
): Kernel {
  const movements = new Array<Movement | undefined>(wires).fill(undefined);
  const gradients = rows.map(({ a, b, c }, row) => {
    const [left, right] = [evaluate(a, witness), evaluate(b, witness)];
    const gradient = new Map<number, bigint>();
    for (const wire of members[row]!) {
      if (!unknown(wire)) continue;
      const value = signedToField(
        right * (a.get(wire) ?? 0n) + left * (b.get(wire) ?? 0n) - (c.get(wire) ?? 0n),
      );
      if (value !== 0n) gradient.set(wire, value);
    }
    return gradient;
  });
  const missing = gradients.map((gradient) => gradient.size);
  const queue = [...gradients.keys()].filter((row) => missing[row]! <= 1);

  const settle = (wire: number, movement: Movement) => {
    movements[wire] = movement;
    for (const row of uses[wire]!) {
      if (gradients[row]!.has(wire) && --missing[row]! <= 1) queue.push(row);
    }
  };
  const strike = (movement: Movement) => {
    const [parameter, coefficient] = movement.entries().next().value!;
    const scale = FIELD_ORDER - inverse(coefficient);
    movement.delete(parameter);
    for (const other of movements) {
      const value = other?.get(parameter);
      if (value === undefined) continue;
      other!.delete(parameter);
      addTo(other!, movement, value * scale);
    }
  };
  const process = (row: number) => {
    let open = 0;
    const sum: Movement = new Map();
    for (const [wire, value] of gradients[row]!) {
      const movement = movements[wire];
      if (movement === undefined) open = wire;
      else addTo(sum, movement, value);
    }
    if (open === 0) {
      if (sum.size > 0) strike(sum);
      return;
    }
    const scale = FIELD_ORDER - inverse(gradients[row]!.get(open)!);
    const movement: Movement = new Map();
    addTo(movement, sum, scale);
    settle(open, movement);
  };
  for (let next = 1; ; ) {
    while (queue.length > 0) {
      const row = queue.pop()!;
      if (missing[row]! <= 1) process(row);
    }
    while (next < wires && (!unknown(next) || movements[next] !== undefined)) next += 1;
    if (next === wires) break;
    settle(next, new Map([[next, 1n]]));
  }
  const parameters = new Set<number>();
  const moving: number[] = [];
  for (const [wire, movement] of movements.entries()) {
    if (movement === undefined || movement.size === 0) continue;
    moving.push(wire);
    for (const parameter of movement.keys()) parameters.add(parameter);
  }
  return { dimension: parameters.size, wires: moving };
}

function addTo(target: Movement, source: Movement, scale: bigint): void {
  for (const [parameter, value] of source) {
    const sum = signedToField((target.get(parameter) ?? 0n) + value * scale);
    if (sum === 0n) target.delete(parameter);
    else target.set(parameter, sum);
  }
}
