import { entryBytes, entryLeaf, entrySchema } from '../src/ledger/entry.ts';
import { checkHead, headSchema, type TreeHead } from '../src/ledger/head.ts';
import { inclusionSchema, indexedEntrySchema } from '../src/protocol/api.ts';
import { fromHex, toHex } from '../src/protocol/bytes.ts';
import { canonicalText } from '../src/protocol/canonical.ts';
import { type Details, GrailError } from '../src/protocol/errors.ts';
import { verifyInclusion } from '../src/protocol/merkle.ts';
import type { Receipt } from '../src/protocol/wire.ts';
import { bodySchemas, type VerdictBody } from '../src/replica/bodies.ts';
import type { VerifierClient } from './client.ts';

/** Where a receipt's verdict stands. */
export interface Inclusion {
  readonly head: TreeHead;
  readonly verdict: VerdictBody;
}

/**
 * Checks that a receipt is what the ledger says: its verdict is an entry of the tree under the newest head that a verifier
 * of the network signed, and gives the miner the same result.
 * @throws GrailError LEDGER_DIVERGED when the ledger says otherwise; BAD_SIGNATURE for a head that is no verifier's;
 *   NOT_FOUND, UNREACHABLE, BAD_REQUEST
 */
export async function checkInLedger(
  client: VerifierClient,
  receipt: Receipt,
  signal?: AbortSignal,
): Promise<Inclusion> {
  const { index, window, miner } = receipt;
  const head = await client.read('v1/head', headSchema, { signal });
  checkHead(client.domain, head);
  const verifiers = client.genesis.verifiers.map(({ address }) => address);
  if (!verifiers.includes(head.author)) {
    throw new GrailError('BAD_SIGNATURE', 'the tree head is not signed by a verifier of this network', {
      expected: verifiers,
      got: head.author,
    });
  }
  if (index >= head.treeSize) {
    throw diverged('the signed ledger ends before it', { expected: index + 1, got: head.treeSize });
  }
  const read = await client.read(`v1/entries/${index}`, indexedEntrySchema, { signal });
  const { proof } = await client.read(
    `v1/proofs/inclusion?index=${index}&size=${head.treeSize}`,
    inclusionSchema,
    { signal },
  );
  // The leaf is that of what is read here: nothing that the verifier says of it is taken over.
  const parsed = entrySchema.safeParse(read.entry);
  if (!parsed.success) throw diverged('the entry is malformed', { index });
  const leaf = entryLeaf(client.genesisHash, entryBytes(parsed.data));
  const path = { leaf, index, size: head.treeSize, proof: proof.map(fromHex), root: fromHex(head.treeRoot) };
  if (!verifyInclusion(path)) {
    throw diverged('the entry is not in the tree that the verifier signed', { index, got: toHex(leaf) });
  }
  const body = bodySchemas.verdict.safeParse(parsed.data.body);
  if (!body.success || body.data.window !== window) {
    throw diverged(`the entry is not the verdict of window ${window}`, { index, got: parsed.data.body.type });
  }
  const result = body.data.results.find((element) => element.miner === miner) ?? null;
  if (canonicalText(result) !== canonicalText(receipt.result)) {
    throw diverged('the verdict gives the miner another result', {
      index,
      expected: canonicalText(receipt.result),
      got: canonicalText(result),
    });
  }
  return { head, verdict: body.data };
}

function diverged(what: string, details: Details): GrailError {
  const message = `the ledger contradicts the receipt: ${what}. Keep the receipt: it is signed, and evidence against the verifier`;
  return new GrailError('LEDGER_DIVERGED', message, details);
}
