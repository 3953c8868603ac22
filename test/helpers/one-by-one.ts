import { GrailError } from '../../src/protocol/errors.ts';
import type { CheckProofs } from '../../src/replica/verdict.ts';

/** Checks one proof. @throws GrailError when it does not hold */
export type CheckProof = (publicSignals: readonly bigint[], proof: Uint8Array) => Promise<void>;

/** Checks each proof of a batch for itself. */
export function oneByOne(check: CheckProof): CheckProofs {
  return async (proofs) => {
    const errors: (GrailError | null)[] = [];
    for (const { publicSignals, proof } of proofs) {
      try {
        await check(publicSignals, proof);
        errors.push(null);
      } catch (error) {
        if (!(error instanceof GrailError)) throw error;
        errors.push(error);
      }
    }
    return errors;
  };
}

/** Every proof holds. */
export const believe: CheckProofs = async (proofs) => proofs.map(() => null);
