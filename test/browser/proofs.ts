import { createVerifier, type VerificationKey } from '../../src/proofs/browser.ts';
import { fromHex } from '../../src/protocol/bytes.ts';

/** A batch as text, for a page. */
export interface PageBatch {
  readonly key: VerificationKey;
  readonly items: readonly { readonly publicSignals: readonly string[]; readonly proof: string }[];
}

/** What a verifier says: of each proof in the batch, and of each singly; the code of a refused one, else null. */
export async function verdicts({ key, items }: PageBatch): Promise<{
  readonly hash: string;
  readonly together: readonly (string | null)[];
  readonly singly: readonly (string | null)[];
}> {
  const verifier = await createVerifier(key);
  const proofs = items.map(({ publicSignals, proof }) => ({
    publicSignals: publicSignals.map(BigInt),
    proof: fromHex(proof),
  }));
  const together = (await verifier.verifyMany(proofs)).map((error) => error?.code ?? null);
  const singly: (string | null)[] = [];
  for (const { publicSignals, proof } of proofs) {
    singly.push(
      await verifier.verify(publicSignals, proof).then(
        () => null,
        (error) => error.code,
      ),
    );
  }
  return { hash: verifier.verificationKeyHash, together, singly };
}
