import canonicalize from 'canonicalize';
import { utf8 } from './bytes.ts';
import { GrailError } from './errors.ts';

/** A value that JSON can carry without loss. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/**
 * RFC 8785 canonical JSON, as text.
 * @throws GrailError BAD_REQUEST for what has none: numbers beyond float64, half a surrogate pair, nesting beyond the stack
 */
export function canonicalText(value: unknown): string {
  let text: string | undefined;
  let cause: unknown;
  try {
    text = canonicalize(value);
  } catch (error) {
    cause = error;
  }
  if (text === undefined) {
    throw new GrailError('BAD_REQUEST', 'a value has no canonical JSON form (RFC 8785)', {}, { cause });
  }
  return text;
}

/** RFC 8785 canonical JSON, as UTF-8 bytes: what every hash of a document is taken over. @throws as `canonicalText` */
export function canonicalBytes(value: unknown): Uint8Array {
  return utf8(canonicalText(value));
}
