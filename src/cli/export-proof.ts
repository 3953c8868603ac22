import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { proofToSnarkjs } from '../proofs/encoding.ts';
import type { VerificationKey } from '../proofs/verification-key.ts';

/** A proof with the statement that a verifier makes for it. */
export interface ExportedProof {
  readonly part: number;
  readonly publicSignals: readonly bigint[];
  /** 256 bytes. */
  readonly proof: Uint8Array;
}

/**
 * Writes proofs as snarkjs reads them: `verification_key.json`, and `part-N/public.json` and `part-N/proof.json`. Existing files
 * are replaced.
 * @returns for each proof the command that checks it without this project
 * @throws GrailError PROOF_ENCODING for bytes that are no proof
 */
export function exportProofs(
  folder: string,
  key: VerificationKey,
  proofs: readonly ExportedProof[],
): string[] {
  const write = (path: string, value: unknown) => writeFileSync(path, `${JSON.stringify(value, null, 1)}\n`);
  mkdirSync(folder, { recursive: true });
  const keyFile = join(folder, 'verification_key.json');
  write(keyFile, key);
  return proofs.map(({ part, publicSignals, proof }) => {
    const files = ['public.json', 'proof.json'].map((name) => join(folder, `part-${part}`, name));
    mkdirSync(join(folder, `part-${part}`), { recursive: true });
    write(files[0]!, publicSignals.map(String));
    write(files[1]!, proofToSnarkjs(proof));
    return ['npx snarkjs groth16 verify', keyFile, ...files].join(' ');
  });
}
