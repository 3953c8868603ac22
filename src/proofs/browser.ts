/**
 * Verification of proofs for a page: no `node:` module, no threads, nothing fetched. Hashes are @noble/hashes' unless
 * `useSha256` swaps in others. A page with a content security policy needs `'wasm-unsafe-eval'` in its script-src.
 *
 *     const verifier = await createVerifier(key);
 *     await verifier.verify(publicSignals, proof);             // resolves, or throws a GrailError
 *     const errors = await verifier.verifyMany(items);          // null where a proof holds
 */

export { GrailError } from '../protocol/errors.ts';
export { useSha256 } from '../protocol/hash.ts';
export { MAX_BATCH, type ProvenStatement } from './batch.ts';
export { proofFromSnarkjs, proofToSnarkjs, type SnarkjsProof } from './encoding.ts';
export {
  checkVerificationKey,
  createVerifier,
  isDevelopmentKey,
  type ProofVerifier,
  parseVerificationKey,
  type VerificationKey,
  type VerifierOptions,
  verificationKeyHash,
} from './verify.ts';
