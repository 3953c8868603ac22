import type { CircuitInput } from '../../src/proofs/prove.ts';

/** A circuit that takes a second to key: `statement` is a product of two secrets, with a range check and a power. */
export const PRODUCT_CIRCUIT = {
  name: 'test-product',
  source: `pragma circom 2.1.0;
include "circomlib/circuits/bitify.circom";

template Product() {
    signal input statement;
    signal input rho;
    signal input folds[2];
    signal input a;
    signal input b;
    component bits = Num2Bits(16);
    bits.in <== a;
    statement === a * b;
    signal squares[2];
    squares[0] <== folds[0] * rho;
    squares[1] <== folds[1] * rho;
    folds[1] === folds[0] + 1;
}

component main {public [statement, rho, folds]} = Product();
`,
} as const;

/** Inputs that satisfy it: the statement is a · b. */
export function productInput(a = 6n, b = 7n): CircuitInput {
  return { statement: a * b, rho: 11n, folds: [3n, 4n], a, b };
}
