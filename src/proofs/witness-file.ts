import { GrailError } from '../protocol/errors.ts';
import { readField } from './fields.ts';
import { viewOf } from './sections.ts';

/** Bytes before the values of a .wtns file as witness-calculator.ts writes it, and of one value. */
const HEADER_BYTES = 76; // 11 + 8 words
const VALUE_BYTES = 32;

/** The values of a .wtns file (iden3's, version 2) that witness-calculator.ts wrote: 32 bytes each, little-endian. */
export function witnessValues(witness: Uint8Array): Uint8Array {
  return witness.subarray(HEADER_BYTES);
}

/** The first `publics` signals of a witness after the constant one. @throws GrailError PROVER_FAILED when it has fewer */
export function publicSignalsOf(witness: Uint8Array, publics: number): bigint[] {
  const values = witnessValues(witness);
  const view = viewOf(values);
  if (VALUE_BYTES * (publics + 1) > values.length) {
    throw new GrailError('PROVER_FAILED', `the key has ${publics} public signals, the witness fewer values`);
  }
  return Array.from({ length: publics }, (_, i) => readField(view, VALUE_BYTES * (i + 1)));
}
