import canonicalize from 'canonicalize';
import { utf8 } from './bytes.ts';

/** A value that JSON can carry without loss. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** RFC 8785 canonical JSON, as text. */
export function canonicalText(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError('value has no JSON form');
  return text;
}

/** RFC 8785 canonical JSON, as UTF-8 bytes: what every hash of a document is taken over. */
export function canonicalBytes(value: unknown): Uint8Array {
  return utf8(canonicalText(value));
}
