import * as secp256k1 from 'tiny-secp256k1';
import { bigToBytes, bytesToBig, concat, type Hex, toHex } from '../../src/protocol/bytes.ts';

/** The order of secp256k1's group. */
export const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

/** A signature whose r is a point's and whose s makes the recovered public key the point at infinity: s·R = digest·G. */
export function signatureAtInfinity(digest: Uint8Array, nonce: Uint8Array): Hex {
  const point = secp256k1.pointFromScalar(nonce, true)!;
  const s = (bytesToBig(digest) * inverse(bytesToBig(nonce))) % ORDER;
  const high = s > ORDER / 2n;
  const odd = (point[0]! === 3) !== high;
  const v = new Uint8Array([odd ? 28 : 27]);
  return toHex(concat(point.subarray(1), bigToBytes(high ? ORDER - s : s, 32), v));
}

/** By Fermat. */
function inverse(value: bigint): bigint {
  let result = 1n;
  let base = value % ORDER;
  for (let rest = ORDER - 2n; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * base) % ORDER;
    base = (base * base) % ORDER;
  }
  return result;
}
