import { expect } from 'vitest';
import { generateCircuit } from '../../src/proofs/circuit.ts';
import { signedToField } from '../../src/proofs/fields.ts';
import type { CircuitSpec } from '../../src/proofs/types.ts';
import type { WitnessInput } from '../../src/proofs/witness-input.ts';
import { compileCircuit, type TemplateEdit, type TestCircuit } from './circuit.ts';

/**
 * A circuit as it is written (O0, where a violated constraint can be named) and as keys are made for it (O2). Whatever the
 * one refuses, the other must refuse.
 */
export class CircuitPair {
  readonly spec: CircuitSpec;
  readonly named: TestCircuit;
  readonly optimised: TestCircuit;

  private constructor(spec: CircuitSpec, named: TestCircuit, optimised: TestCircuit) {
    this.spec = spec;
    this.named = named;
    this.optimised = optimised;
  }

  static async compile(spec: CircuitSpec): Promise<CircuitPair> {
    const { source } = generateCircuit(spec);
    return new CircuitPair(spec, await compileCircuit(source, 'O0'), await compileCircuit(source, 'O2'));
  }

  /** Why the circuit refuses what its own code computes from these inputs; empty if it accepts it. */
  async verdict(input: WitnessInput): Promise<string[]> {
    const blame = this.named.blame(await this.named.witness(input));
    const refused = this.optimised.violated(await this.optimised.witness(input)).length > 0;
    expect(refused).toBe(blame.length > 0);
    return blame;
  }

  /** The same for a whole witness of the circuit as it is written. */
  wireVerdict(witness: readonly bigint[]): string[] {
    const moved = this.optimised.names.map((name) => (name === 'one' ? 1n : this.at(witness, name)));
    const blame = this.named.blame(witness);
    expect(this.optimised.violated(moved).length > 0).toBe(blame.length > 0);
    return blame;
  }

  /**
   * What a prover's own code computes from the inputs: the templates with other hints (`<--`), whose constraints are the
   * same. Everything that depends on a false hint is computed from it.
   */
  async forged(edits: readonly TemplateEdit[], input: WitnessInput): Promise<bigint[]> {
    const forger = await compileCircuit(generateCircuit(this.spec).source, 'O0', edits);
    expect(forger.r1cs).toEqual(this.named.r1cs);
    return forger.witness(input);
  }

  at(witness: readonly bigint[], signal: string): bigint {
    return witness[this.#wire(signal)]!;
  }

  /** Sets signals of a copy of a witness. */
  set(witness: readonly bigint[], values: Record<string, bigint>): bigint[] {
    const copy = [...witness];
    for (const [signal, value] of Object.entries(values)) copy[this.#wire(signal)] = signedToField(value);
    return copy;
  }

  #wire(signal: string): number {
    const index = this.named.wires.get(signal);
    if (index === undefined) throw new Error(`no signal ${signal}`);
    return index;
  }
}
