import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import { expect, test } from 'vitest';
import { concat } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { useNodeSha256 } from '../../src/storage/node-hash.ts';
import { randomObservations } from '../support/policies.ts';

test('OpenSSL gives the digests of the library in JavaScript, for parts of every size and any bytes', () => {
  useNodeSha256();
  const bytes = new Uint8Array(randomObservations(1, 5000, 1).buffer);
  for (const lengths of [
    [],
    [0],
    [1],
    [32, 32, 60],
    [1023],
    [1024],
    [1025],
    [1000, 24, 1],
    [4000, 0, 1000],
  ]) {
    let at = 0;
    const parts = lengths.map((length) => {
      at += length;
      return bytes.subarray(at - length, at);
    });
    expect(sha256(...parts)).toEqual(nobleSha256(concat(...parts)));
  }
});

test('a digest is not touched by the next one', () => {
  useNodeSha256();
  const first = sha256(new Uint8Array([1]));
  const copy = first.slice();
  sha256(new Uint8Array([2]));
  expect(first).toEqual(copy);
  expect(first.byteLength).toBe(first.buffer.byteLength);
});
