import { expect, test } from 'vitest';
import { entryBytes, entryLeaf, type LedgerEntry } from '../../src/ledger/entry.ts';
import { headDigest, signHead } from '../../src/ledger/head.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import { tag } from '../../src/protocol/hash.ts';
import { Identity } from '../../src/protocol/identity.ts';
import { rootOfHashes } from '../../src/protocol/merkle.ts';

// The example of docs/PROTOCOL.md, Ledger. Tag, leaves and root were recomputed with Python's hashlib.
const genesisHash = new Uint8Array(32).fill(7);
const identity = new Identity(new Uint8Array(32).fill(1));
const first: LedgerEntry = {
  window: 0,
  phase: 'enrol',
  view: 0,
  author: identity.address,
  body: { type: 'example', slots: 16 },
};
const second: LedgerEntry = {
  window: 0,
  phase: 'commit',
  view: 0,
  author: null,
  body: { type: 'example', note: 'é', list: [1, 2.5, null] },
};

test('the example entries of the protocol have its bytes, leaves and root', () => {
  expect(toHex(tag('entry'))).toBe('0xe593c7fceb1d802c46af322b167e06bbddb6e5ba3158885e924328866b5815a4');
  expect(new TextDecoder().decode(entryBytes(first))).toBe(
    '{"author":"0x1a642f0e3c3af545e7acbd38b07251b3990914f1","body":{"slots":16,"type":"example"},"phase":"enrol","view":0,"window":0}',
  );
  expect(entryBytes(second).length).toBe(110);
  const leaves = [first, second].map((entry) => entryLeaf(genesisHash, entryBytes(entry)));
  expect(leaves.map(toHex)).toEqual([
    '0x1ea1734c8f3b98300e16f8963658a3b8fe3dbf4f8314f7d25e31a69fc9db7057',
    '0x06265e48b1dc2f613f1e1f8c027c298b043cf35b8d2780fd2a500b1135ae0d07',
  ]);
  expect(toHex(rootOfHashes(leaves))).toBe(
    '0xf7cbce4321f1cf1f63aaec3a74968c9a5b85090237963d3d940b2715c4e249d1',
  );
});

test('the example tree head of the protocol has its digest and signature', () => {
  const domain = { chainId: 0, genesisHash };
  const fields = {
    window: 0,
    phase: 'commit',
    view: 0,
    treeSize: 2,
    treeRoot: '0xf7cbce4321f1cf1f63aaec3a74968c9a5b85090237963d3d940b2715c4e249d1',
  } as const;
  expect(toHex(headDigest(domain, fields))).toBe(
    '0xc8cfec0ae832b68cf9302b1a2d74dc732c9641392a52578afdbd73ff2b1842a7',
  );
  expect(signHead(domain, identity, fields).signature).toBe(
    '0xae5f826344c00a7d284a0c6b88fda2e62314c0d2637eae6d8eb7a294704bcc8511b7acc73eb2f8b720d484bf775be1c1519cf12026ebce18edce7ceefc8b80201c',
  );
});
