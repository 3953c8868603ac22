import { computeAddress, recoverAddress, SigningKey } from 'ethers';
import { type Hex, toHex } from './bytes.ts';

/** The secp256k1 key of a miner or verifier. Signing is synchronous and deterministic (RFC 6979). */
export class Identity {
  /** 20 bytes, lower-case hex. */
  readonly address: Hex;
  readonly #key: SigningKey;

  constructor(privateKey: Uint8Array) {
    this.#key = new SigningKey(privateKey);
    this.address = computeAddress(this.#key.publicKey).toLowerCase() as Hex;
  }

  /** Signs a 32-byte digest. 65 bytes: r, s (low), v. */
  sign(digest: Uint8Array): Hex {
    return this.#key.sign(digest).serialized as Hex;
  }
}

/** The address whose key signed `digest`, or null when the signature is not one. */
export function recover(digest: Uint8Array, signature: Hex): Hex | null {
  try {
    return recoverAddress(toHex(digest), signature).toLowerCase() as Hex;
  } catch {
    return null;
  }
}
