import { join } from 'node:path';
import { buildBn128, type Curve } from 'ffjavascript';
import { powersOfTau } from 'snarkjs';
import type { CeremonyCircuit } from '../../src/proofs/ceremony/circuit.ts';
import { PRODUCT_CIRCUIT } from './product-circuit.ts';

/** A circuit whose ceremony takes seconds. */
export const SMALL_CIRCUIT: CeremonyCircuit = { ...PRODUCT_CIRCUIT, spec: null };

const newAccumulator = powersOfTau.newAccumulator as unknown as (
  curve: Curve,
  power: number,
  path: string,
) => Promise<unknown>;

/**
 * A real phase 1 of 2^power, made by snarkjs with one contribution.
 * @returns paths of the file as it is contributed to, and prepared for phase 2
 */
export async function makePhaseOne(
  folder: string,
  power = 6,
): Promise<{ readonly plain: string; readonly prepared: string }> {
  const [begun, plain, prepared] = ['begun', 'plain', 'prepared'].map((name) =>
    join(folder, `${name}.ptau`),
  ) as [string, string, string];
  const curve = await buildBn128(false);
  try {
    await newAccumulator(curve, power, begun);
  } finally {
    await curve.terminate();
  }
  await powersOfTau.contribute(begun, plain, 'first', 'some entropy');
  await powersOfTau.preparePhase2(plain, prepared);
  return { plain, prepared };
}

/** snarkjs keeps a curve with threads, which would keep the test process alive. */
export async function endSnarkjs(): Promise<void> {
  await (globalThis as { curve_bn128?: Curve | null }).curve_bn128?.terminate();
}
