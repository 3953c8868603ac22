import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import { concat, utf8 } from './bytes.ts';

/** SHA-256 of the concatenation of `parts`, 32 bytes. */
export type Sha256 = (parts: readonly Uint8Array[]) => Uint8Array;

let implementation: Sha256 = (parts) => nobleSha256(concat(...parts));

/** Swaps in a faster SHA-256. Digests are the same by definition, so this changes speed and nothing else. */
export function useSha256(fast: Sha256): void {
  implementation = fast;
}

export function sha256(...parts: Uint8Array[]): Uint8Array {
  return implementation(parts);
}

const tags = new Map<string, Uint8Array>();

/** The 32-byte domain tag of a name: SHA-256("grail/v1/" ‖ name). */
export function tag(name: string): Uint8Array {
  let value = tags.get(name);
  if (value === undefined) {
    value = sha256(utf8(`grail/v1/${name}`));
    tags.set(name, value);
  }
  return value;
}

/** SHA-256(tag ‖ genesisHash ‖ parts…): the form of every seed, leaf and digest that belongs to one network. */
export function networkHash(name: string, genesisHash: Uint8Array, ...parts: Uint8Array[]): Uint8Array {
  return sha256(tag(name), genesisHash, ...parts);
}
