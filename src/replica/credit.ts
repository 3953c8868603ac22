import type { Genesis } from '../params/genesis.ts';
import { bigToBytes, concat, fromHex, type Hex } from '../protocol/bytes.ts';
import { networkHash } from '../protocol/hash.ts';
import { merkleRoot } from '../protocol/merkle.ts';

/**
 * What a delivered window pays a miner: min(rate · n, ⌊E · n / Σn⌋) base units. Σn runs over all enrolled slots,
 * delivered or not, so nobody gains when another fails; the remainder is not minted.
 */
export function credit(genesis: Pick<Genesis, 'emission' | 'rate'>, slots: number, allSlots: number): number {
  if (slots === 0) return 0;
  const share = (BigInt(genesis.emission) * BigInt(slots)) / BigInt(allSlots);
  const most = BigInt(genesis.rate) * BigInt(slots);
  return Number(share < most ? share : most);
}

/** The root of all credits so far: RFC 6962 over tag ‖ genesisHash ‖ address ‖ u128 total, sorted by address. */
export function rewardRoot(genesisHash: Uint8Array, totals: ReadonlyMap<Hex, bigint>): Uint8Array {
  const leaves = [...totals]
    .filter(([, total]) => total > 0n)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([miner, total]) =>
      networkHash('reward/leaf', genesisHash, concat(fromHex(miner), bigToBytes(total, 16))),
    );
  return merkleRoot(leaves);
}
