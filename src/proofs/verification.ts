/**
 * The verification of proofs by itself, as a page or another program imports it: `npm run build` bundles this file as
 * dist/browser/verification.js (docs/guides/light-clients.md).
 *
 * @example
 * const verifier = await createVerifier(parseVerificationKey(key));
 * checkVerificationKey(key, genesis.proof.verificationKeys.folds, genesis.insecureDev);
 * const errors = await verifier.verifyMany([{ publicSignals, proof }]); // [null]: it holds
 */
export { GrailError } from '../protocol/errors.ts';
export {
  checkVerificationKey,
  createVerifier,
  isDevelopmentKey,
  MAX_BATCH,
  type ProofVerifier,
  type ProvenStatement,
  parseVerificationKey,
  type VerificationKey,
  verificationKeyHash,
} from './verify.ts';
