import type { CircuitInput } from '../../src/proofs/prove.ts';

/** A circuit that takes a second to key, with the public signals of variant `digest`. */
export const DIGEST_CIRCUIT = {
  name: 'test-digest',
  source: `pragma circom 2.1.0;

template Digest() {
    signal input statementDigest;
    signal input rho;
    signal input foldDigest;
    signal input a;
    signal input b;
    statementDigest === a * b;
    foldDigest === a * rho;
}

component main {public [statementDigest, rho, foldDigest]} = Digest();
`,
} as const;

/** Inputs that satisfy it. */
export function digestInput(a: bigint, b: bigint, rho: bigint): CircuitInput {
  return { statementDigest: a * b, rho, foldDigest: a * rho, a, b };
}
