import { computeAddress, recoverAddress, SigningKey } from 'ethers';
import { type Hex, toHex } from './bytes.ts';

/** ECDSA on secp256k1 with Ethereum's addresses. */
export interface Signatures {
  /** Signs a 32-byte digest: 65 bytes, r, s (low), v (27 or 28), the nonce by RFC 6979. */
  readonly sign: (digest: Uint8Array, privateKey: Uint8Array) => Hex;
  /** The address whose key signed `digest`, or null when the signature is not one. */
  readonly recover: (digest: Uint8Array, signature: Hex) => Hex | null;
}

/** What every other implementation must agree with, on any input: a verdict depends on it. */
export const ethersSignatures: Signatures = {
  sign: (digest, privateKey) => new SigningKey(privateKey).sign(digest).serialized as Hex,
  recover(digest, signature) {
    try {
      return recoverAddress(toHex(digest), signature).toLowerCase() as Hex;
    } catch {
      return null;
    }
  },
};

let implementation = ethersSignatures;

/** Swaps in faster signatures. They are the same by definition, so this changes speed and nothing else. */
export function useSignatures(fast: Signatures): void {
  implementation = fast;
}

/** The secp256k1 key of a miner or verifier. Signing is synchronous and deterministic (RFC 6979). */
export class Identity {
  /** 20 bytes, lower-case hex. */
  readonly address: Hex;
  readonly #privateKey: Uint8Array;

  constructor(privateKey: Uint8Array) {
    this.#privateKey = privateKey.slice();
    this.address = computeAddress(new SigningKey(privateKey).publicKey).toLowerCase() as Hex;
  }

  /** Signs a 32-byte digest. 65 bytes: r, s (low), v. */
  sign(digest: Uint8Array): Hex {
    return implementation.sign(digest, this.#privateKey);
  }
}

/** The address whose key signed `digest`, or null when the signature is not one. */
export function recover(digest: Uint8Array, signature: Hex): Hex | null {
  return implementation.recover(digest, signature);
}
