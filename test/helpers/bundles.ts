import { entryBytes, entryLeaf, type LedgerEntry } from '../../src/ledger/entry.ts';
import { signHead } from '../../src/ledger/head.ts';
import { type Genesis, genesisHash } from '../../src/params/genesis.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import type { Identity } from '../../src/protocol/identity.ts';
import { MerkleTree } from '../../src/protocol/merkle.ts';
import type { Bundle } from '../../src/replica/bundle.ts';

/**
 * A bundle of a ledger that its operator wrote anew: the same places, other entries, under a head that it signed itself.
 * @param entries the whole ledger
 */
export function forgedBundle(
  bundle: Bundle,
  genesis: Genesis,
  operator: Identity,
  entries: readonly LedgerEntry[],
): Bundle {
  const name = genesisHash(genesis);
  const tree = new MerkleTree(entries.map((entry) => entryLeaf(name, entryBytes(entry))));
  const { author: _, signature: __, ...place } = bundle.head;
  const size = { treeSize: tree.size, treeRoot: toHex(tree.root()) };
  return {
    ...bundle,
    head: signHead({ chainId: genesis.chainId, genesisHash: name }, operator, { ...place, ...size }),
    entries: bundle.entries.map(({ index }) => ({
      index,
      bytes: entryBytes(entries[index]!),
      proof: tree.inclusionProof(index),
    })),
  };
}
