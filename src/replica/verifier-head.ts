import { checkHead, type TreeHead } from '../ledger/head.ts';
import type { Genesis } from '../params/genesis.ts';
import { GrailError } from '../protocol/errors.ts';
import type { SigningDomain } from '../protocol/messages.ts';

/** @throws GrailError BAD_SIGNATURE, or LEDGER_INVALID when it is signed by no verifier of the network */
export function checkVerifierHead(
  { genesis, domain }: { readonly genesis: Genesis; readonly domain: SigningDomain },
  head: TreeHead,
): void {
  checkHead(domain, head);
  if (genesis.verifiers.some(({ address }) => address === head.author)) return;
  throw new GrailError('LEDGER_INVALID', 'the tree head is signed by no verifier of this network', {
    treeSize: head.treeSize,
    got: head.author,
  });
}
