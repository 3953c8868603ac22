import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openLedgerReadOnly } from '../ledger/log.ts';
import type { Policy } from '../policy/architecture.ts';
import { GrailError } from '../protocol/errors.ts';
import { genesisOf } from '../replica/genesis-of.ts';
import { storedPolicies } from '../replica/load-judge.ts';
import { NetworkState } from '../replica/state.ts';
import { FolderBlobStore } from '../storage/blobs.ts';

export interface StoredPolicy {
  /** The environment of the network's genesis. */
  readonly environment: string;
  readonly version: number;
  readonly policy: Policy;
}

/**
 * A policy that a network has published, from the network's folder as `grail demo --dir` or a verifier leaves it.
 * @param version the newest unless it is given
 * @throws GrailError NOT_FOUND when no network is there or it has no such version, and what a damaged one gives
 */
export async function readStoredPolicy(directory: string, version?: number): Promise<StoredPolicy> {
  const path = join(directory, 'ledger.sqlite');
  if (!existsSync(path)) {
    throw new GrailError(
      'NOT_FOUND',
      `${directory} holds no network: give the folder of one, such as grail demo --dir makes`,
      { missing: path },
    );
  }
  const ledger = openLedgerReadOnly(path);
  try {
    const genesis = genesisOf(ledger);
    const state = new NetworkState(genesis);
    for (const { entry } of ledger.range()) state.apply(entry, { signatureChecked: true });
    const newest = state.versions.length - 1;
    const chosen = version ?? newest;
    if (chosen > newest) {
      throw new GrailError('NOT_FOUND', `${directory} has the versions 0 to ${newest}`, { version: chosen });
    }
    const blobs = new FolderBlobStore(join(directory, 'blobs'));
    const range = { first: chosen, last: chosen };
    const policies = await storedPolicies(state.versions, blobs, genesis, range);
    return { environment: genesis.environment, version: chosen, policy: policies.get(chosen)! };
  } finally {
    ledger.close();
  }
}
