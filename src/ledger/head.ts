import { z } from 'zod';
import { addressSchema, hash32Schema } from '../params/genesis.ts';
import type { Hex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { type Identity, recover } from '../protocol/identity.ts';
import { attestationDigest, type SigningDomain } from '../protocol/messages.ts';
import { counterSchema, phaseSchema } from './entry.ts';

/** A verifier's signature under the ledger at one size (docs/PROTOCOL.md, Tree heads). */
export const headSchema = z.strictObject({
  window: counterSchema,
  phase: phaseSchema,
  view: counterSchema,
  treeSize: counterSchema,
  treeRoot: hash32Schema,
  /** The verifier that signed. */
  author: addressSchema,
  signature: z
    .string()
    .regex(/^0x[0-9a-f]{130}$/, 'expected a 65-byte signature as lower-case 0x hex')
    .transform((value) => value as Hex),
});

export type TreeHead = Readonly<z.infer<typeof headSchema>>;

/** What is signed: the EIP-712 TreeHead of the network's domain, 32 bytes. */
export function headDigest(domain: SigningDomain, head: Omit<TreeHead, 'author' | 'signature'>): Uint8Array {
  const { window, phase, view, treeSize, treeRoot } = head;
  return attestationDigest(domain, 'treeHead', { window, phase, view, treeSize, treeRoot });
}

/** Signs a tree head. Signing is deterministic, so signing the same head again gives the same bytes. */
export function signHead(
  domain: SigningDomain,
  identity: Identity,
  head: Omit<TreeHead, 'author' | 'signature'>,
): TreeHead {
  return { ...head, author: identity.address, signature: identity.sign(headDigest(domain, head)) };
}

/**
 * Checks that the verifier whom the head names signed it.
 * @throws GrailError BAD_SIGNATURE
 */
export function checkHead(domain: SigningDomain, head: TreeHead): void {
  const signer = recover(headDigest(domain, head), head.signature);
  if (signer !== head.author) {
    throw new GrailError('BAD_SIGNATURE', 'the tree head is not signed by the verifier it names', {
      treeSize: head.treeSize,
      expected: head.author,
      got: signer,
    });
  }
}
