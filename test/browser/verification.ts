/** What a page does with the bundle of src/proofs/verification.ts: checks proofs given as text, in a batch and one by one. */
import { createVerifier, parseVerificationKey } from '../../src/proofs/verification.ts';
import { fromHex, type Hex } from '../../src/protocol/bytes.ts';

export interface TextStatement {
  readonly publicSignals: readonly string[];
  readonly proof: Hex;
}

export interface Verdicts {
  readonly batch: (string | null)[];
  readonly single: (string | null)[];
}

/** Codes of what was refused, null for what holds. */
export async function verdicts(key: unknown, statements: readonly TextStatement[]): Promise<Verdicts> {
  const verifier = await createVerifier(parseVerificationKey(key));
  const items = statements.map(({ publicSignals, proof }) => ({
    publicSignals: publicSignals.map(BigInt),
    proof: fromHex(proof),
  }));
  const batch = (await verifier.verifyMany(items)).map((error) => error?.code ?? null);
  const single: (string | null)[] = [];
  for (const { publicSignals, proof } of items) {
    single.push(
      await verifier.verify(publicSignals, proof).then(
        () => null,
        (error) => error.code,
      ),
    );
  }
  return { batch, single };
}
