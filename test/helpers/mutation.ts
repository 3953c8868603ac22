import { FIELD_ORDER, inverse, signedToField } from '../../src/proofs/fields.ts';
import type { WitnessInput } from '../../src/proofs/witness-input.ts';
import type { TestCircuit } from './circuit.ts';
import { type Constraints, constraintsOf, evaluate, type Form, holds } from './constraints.ts';
import { Resolver } from './resolve.ts';
import type { Seeded } from './steps.ts';
import { kernelAt } from './tangent.ts';

/**
 * Which wires of a circuit its constraints leave open, found by machine from one honest witness.
 *
 * `proof`: all public inputs are the verifier's. `opening`: the trace digest is the miner's, so statementDigest follows from
 * what the circuit computes, while what the verifier knows of the statement stays: context, observation folds and noise.
 * An action that a statement fixes is free here unless the circuit itself fixes it.
 */
export type View = 'proof' | 'opening';

/** A circuit and a witness that satisfies it. */
export interface Witnessed {
  readonly names: readonly string[];
  readonly publics: number;
  readonly system: Constraints;
  readonly witness: readonly bigint[];
}

/** @throws Error when the circuit refuses the inputs */
export async function witnessed(circuit: TestCircuit, input: WitnessInput): Promise<Witnessed> {
  const witness = await circuit.witness(input);
  if (circuit.violated(witness).length > 0) throw new Error('the circuit refuses these inputs');
  const system = constraintsOf(circuit.r1cs);
  return { names: circuit.names, publics: circuit.r1cs.publics, system, witness };
}

/** Wires of the statement that a verifier makes of its own replay. */
const REPLAYED = /^(check\.)?(context|observationFolds\[|noise\[|noiseBits\[)/;
/** What a prover chooses, by the circuit's inputs or by their digits. */
const CHOICES = [
  /^(check\.)?(folds\[|context|observationFolds\[|noise\[|accumulators\[)/,
  /^(check\.)?(folds\[|context|observationFolds\[|noiseBits\[\d+\]\[\d+\]\.out|accumulator\[\d+\]\[\d+\]\.split\.out)/,
];
const STATEMENT = 1;

/** Whether a wire is not the verifier's. */
function movableIn({ names, publics }: Witnessed, view: View): (wire: number) => boolean {
  if (view === 'proof') return (wire) => wire > publics;
  return (wire) => wire === STATEMENT || (wire > publics && !REPLAYED.test(names[wire]!));
}

/**
 * Wires that move together at first order, from the derivative of all constraints.
 * @param bound wires that are as good as public, because a collision-resistant digest of them is: of the variant with a
 *   fold digest, the folds
 */
export function movingWires(
  circuit: Witnessed,
  view: View,
  bound: (name: string) => boolean = () => false,
): { dimension: number; names: string[] } {
  const movable = movableIn(circuit, view);
  const { dimension, wires } = kernelAt(
    circuit.system,
    circuit.witness,
    (wire) => movable(wire) && !bound(circuit.names[wire]!),
  );
  return { dimension, names: wires.map((wire) => circuit.names[wire]!).sort() };
}

/** Wires that take another value, among those tried, while all others stay. */
export function wiresFreeAlone(circuit: Witnessed, view: View, random: Seeded): string[] {
  const { names, system, witness } = circuit;
  const changed = [...witness];
  return privateWires(circuit, view)
    .filter((wire) => {
      const value = witness[wire]!;
      const free = [
        ...alternatives(system, witness, wire),
        value + 1n,
        value - 1n,
        -value,
        BigInt(random.word()) ** 7n,
      ]
        .map(signedToField)
        .filter((other) => other !== value)
        .some((other) => {
          changed[wire] = other;
          return system.uses[wire]!.every((row) => holds(system.rows[row]!, changed));
        });
      changed[wire] = value;
      return free;
    })
    .map((wire) => names[wire]!)
    .sort();
}

/** Wires that take another value while all that depends on them is derived anew. */
export function wiresFreeResolved(circuit: Witnessed, view: View): string[] {
  const { names, publics, system, witness } = circuit;
  const movable = movableIn(circuit, view);
  const fixed = (wire: number) => !movable(wire);
  const all = [...names.keys()].slice(1);
  const verifiers = all.filter((wire) => wire <= publics && fixed(wire));
  const resolvers = CHOICES.map((pattern) => {
    const choices = [...verifiers, ...all.filter((wire) => wire > publics && pattern.test(names[wire]!))];
    return { choices, resolver: new Resolver(system, witness, choices) };
  });
  return privateWires(circuit, view)
    .filter((wire) => {
      const tried = new Set([...alternatives(system, witness, wire), signedToField(witness[wire]! + 1n)]);
      return resolvers.some(({ choices, resolver }) => {
        // What nothing leads to is a choice of its own, from which others may follow.
        const own = resolver.assumed.has(wire) ? new Resolver(system, witness, [...choices, wire]) : resolver;
        return [...tried].some((value) => own.holdsWith(wire, value, fixed));
      });
    })
    .map((wire) => names[wire]!)
    .sort();
}

function privateWires(circuit: Witnessed, view: View): number[] {
  const movable = movableIn(circuit, view);
  return [...circuit.names.keys()].filter((wire) => wire > circuit.publics && movable(wire));
}

/** Values that rows of two choices leave a wire besides its own: a bit's other value, that of a sum whose top bit is implied. */
function alternatives(system: Constraints, witness: readonly bigint[], wire: number): bigint[] {
  const out = new Set<bigint>();
  for (const row of system.uses[wire]!) {
    const { choice, a, b } = system.rows[row]!;
    if (!choice) continue;
    for (const form of [a, b]) out.add(rootAt(form, witness, wire));
  }
  out.delete(witness[wire]!);
  return [...out];
}

/** What a wire must be for a form to be zero while the others stay. */
function rootAt(form: Form, witness: readonly bigint[], wire: number): bigint {
  const coefficient = form.get(wire)!;
  const rest = evaluate(form, witness) - coefficient * witness[wire]!;
  return signedToField((-rest % FIELD_ORDER) * inverse(coefficient));
}
