import { keccak256, toUtf8Bytes } from 'ethers';
import { expect, test } from 'vitest';
import { bigToBytes, bytesToBig, concat, fromHex, type Hex, toHex } from '../../src/protocol/bytes.ts';
import { ethersSignatures, Identity, recover } from '../../src/protocol/identity.ts';
import { structHasher } from '../../src/protocol/typed-data.ts';
import { useNodeSignatures } from '../../src/storage/node-signatures.ts';
import { ORDER, signatureAtInfinity } from '../support/secp256k1.ts';

useNodeSignatures();

/** The example of EIP-712: its key, digest and signature. */
const COW = {
  privateKey: fromHex(keccak256(toUtf8Bytes('cow'))),
  address: '0xcd2a3d9f938e13cd947ec05abc7fe734df8dd826',
  digest: fromHex('0xbe609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2'),
  signature:
    '0x4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b915621c',
} as const;

const FIELD = 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2fn;
const cow = fromHex(COW.signature);
const withR = (r: bigint): Hex => toHex(concat(bigToBytes(r, 32), cow.subarray(32)));
const withS = (s: bigint): Hex => toHex(concat(cow.subarray(0, 32), bigToBytes(s, 32), cow.subarray(64)));
const withV = (v: number): Hex => toHex(concat(cow.subarray(0, 64), new Uint8Array([v])));
const s = bytesToBig(cow.subarray(32, 64));

test('the example of EIP-712 is signed and recovered as the standard says', () => {
  const identity = new Identity(COW.privateKey);
  expect(identity.address).toBe(COW.address);
  expect(identity.sign(COW.digest)).toBe(COW.signature);
  expect(recover(COW.digest, COW.signature)).toBe(COW.address);
});

test('the flat structs of EIP-712’s example have the hashes of the standard', () => {
  const domain = structHasher('EIP712Domain', [
    { name: 'name', type: 'string' },
    { name: 'version', type: 'string' },
    { name: 'chainId', type: 'uint256' },
    { name: 'verifyingContract', type: 'address' },
  ]);
  const separator = domain({
    name: 'Ether Mail',
    version: '1',
    chainId: 1,
    verifyingContract: '0xcccccccccccccccccccccccccccccccccccccccc',
  });
  expect(toHex(separator)).toBe('0xf2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f');
  const person = structHasher('Person', [
    { name: 'name', type: 'string' },
    { name: 'wallet', type: 'address' },
  ]);
  expect(toHex(person({ name: 'Cow', wallet: COW.address }))).toBe(
    '0xfc71e5fa27ff56c350aa531bc129ebdf613b772b6604664f5d8dbe21b85eb0c8',
  );
});

test('a field that cannot hold its value is refused', () => {
  const hash = structHasher('Struct', [{ name: 'count', type: 'uint32' }]);
  for (const count of [-1, 2 ** 32, 0.5, '1', undefined]) expect(() => hash({ count })).toThrow(RangeError);
  const named = structHasher('Struct', [{ name: 'root', type: 'bytes32' }]);
  for (const root of ['0x', `0x${'00'.repeat(31)}`, 'root', undefined]) {
    expect(() => named({ root })).toThrow(RangeError);
  }
});

test('every v means the same to both implementations', () => {
  for (let v = 0; v < 256; v++) {
    expect(recover(COW.digest, withV(v)), `v = ${v}`).toBe(ethersSignatures.recover(COW.digest, withV(v)));
  }
  expect(recover(COW.digest, withV(1))).toBe(COW.address);
  expect(recover(COW.digest, withV(2))).toBeNull();
});

test.each<[string, Hex]>([
  ['r is zero', withR(0n)],
  ['r is the order', withR(ORDER)],
  ['r is above the order', withR(ORDER + 1n)],
  ['r is above the field', withR(FIELD + 1n)],
  ['r is no x of the curve', withR(5n)],
  ['s is zero', withS(0n)],
  ['s is the order', withS(ORDER)],
  ['s is high from its first digit on', withS(ORDER - s)],
  ['two bytes are missing', COW.signature.slice(0, -4) as Hex],
  ['a byte is too many', `${COW.signature}00`],
  ['there is nothing', '0x'],
])('there is no signer when %s', (_, signature) => {
  expect(recover(COW.digest, signature)).toBeNull();
  expect(ethersSignatures.recover(COW.digest, signature)).toBeNull();
});

test.each<[string, Hex]>([
  ['r is one', withR(1n)],
  ['s is one', withS(1n)],
  ['s is high, but not in its first digit', withS(ORDER / 2n + 1n)],
  ['s is the largest below 2^255', withS(2n ** 255n - 1n)],
  ['letters are capitals', `0x${COW.signature.slice(2).toUpperCase()}`],
  ['it is the compact form of EIP-2098', compact(COW.signature)],
])('there is a signer, the same to both implementations, when %s', (_, signature) => {
  const signer = recover(COW.digest, signature);
  expect(signer).toMatch(/^0x[0-9a-f]{40}$/);
  expect(signer).toBe(ethersSignatures.recover(COW.digest, signature));
});

test('there is no signer when the public key would be the point at infinity', () => {
  const signature = signatureAtInfinity(COW.digest, COW.privateKey);
  expect(recover(COW.digest, signature)).toBeNull();
  expect(ethersSignatures.recover(COW.digest, signature)).toBeNull();
});

test('a digest from the group’s order on is reduced before its nonce is derived', () => {
  const identity = new Identity(COW.privateKey);
  for (const value of [ORDER - 1n, ORDER, ORDER + 1n, 2n ** 256n - 1n]) {
    const digest = bigToBytes(value, 32);
    const signature = identity.sign(digest);
    expect(signature).toBe(ethersSignatures.sign(digest, COW.privateKey));
    expect(recover(digest, signature)).toBe(COW.address);
  }
});

test('only a digest of 32 bytes is signed or recovered', () => {
  for (const length of [0, 31, 33, 64]) {
    const digest = new Uint8Array(length).fill(1);
    expect(() => new Identity(COW.privateKey).sign(digest)).toThrow();
    expect(recover(digest, COW.signature)).toBeNull();
  }
});

test('a key outside of 1 to the order less one is refused', () => {
  for (const key of [0n, ORDER, 2n ** 256n - 1n]) expect(() => new Identity(bigToBytes(key, 32))).toThrow();
});

test('a key that is overwritten after use signs on', () => {
  const key = COW.privateKey.slice();
  const identity = new Identity(key);
  key.fill(1);
  expect(identity.sign(COW.digest)).toBe(COW.signature);
});

/** r and s with the parity in the highest bit of s. */
function compact(signature: Hex): Hex {
  const bytes = fromHex(signature).slice(0, 64);
  bytes[32]! |= 0x80;
  return toHex(bytes);
}
