import { entryBytes, entryLeaf } from '../src/ledger/entry.ts';
import { type Genesis, genesisHash } from '../src/params/genesis.ts';
import { GrailError } from '../src/protocol/errors.ts';
import { NetworkState } from '../src/replica/state.ts';
import type { LedgerDatabase } from '../src/storage/ledger-database.ts';
import type { Role } from './config.ts';
import type { Devnet } from './devnet.ts';
import type { NetworkDirectory } from './directory.ts';
import type { Log } from './log.ts';
import { openBlobs, openDatabase, type Places } from './roles/backends.ts';

export interface OpenNetworkOptions {
  readonly directory: NetworkDirectory;
  readonly places: Places;
  readonly role: Role;
  readonly log: Log;
  readonly make: () => Promise<Devnet>;
}

/**
 * Sees to it that there is a network to be run: makes a development network where a sequencer finds none.
 * @throws GrailError NOT_FOUND when there is none and another role was to make it, or when the folder has no secrets of it;
 *   STORAGE_UNAVAILABLE
 */
export async function openNetwork(options: OpenNetworkOptions): Promise<void> {
  const { directory, places, role, log, make } = options;
  const writes = role === 'all' || role === 'sequencer';
  if (places.database === null) {
    if (directory.exists || !writes) return;
    await directory.create(await make());
    log.info('made a new development network', { directory: directory.path });
    return;
  }
  const database = (await openDatabase(places))!;
  try {
    const name = await database.genesisHash();
    const begun = name !== null && (await database.read(0, 1)).length > 0;
    if (!writes) return;
    if (name !== null && !directory.hasSecrets) {
      throw new GrailError(
        'NOT_FOUND',
        `${database.name} holds a network, and ${directory.path} no operator.json of it: copy that file there`,
        { directory: directory.path },
      );
    }
    if (begun) return;
    // A creation that was killed after it had named the network is finished with the genesis that it wrote.
    if (name === null) {
      const devnet = await make();
      const { blobs } = await openBlobs({ ...places, bus: null }, directory);
      await blobs.put(devnet.anchor);
      await directory.createSecrets(devnet);
      await database.create(devnet.genesisHash);
    }
    const genesis = await directory.writtenGenesis();
    if (genesis === null) throw new GrailError('NOT_FOUND', `${directory.path} holds no genesis.json`);
    await database.create(genesisHash(genesis));
    await appendGenesis(database, genesis);
    log.info('made a new development network', { directory: directory.path, database: database.name });
  } finally {
    await database.close();
  }
}

async function appendGenesis(database: LedgerDatabase, genesis: Genesis): Promise<void> {
  const writer = await database.acquire({
    holder: 'network creation',
    ttlMs: 10_000,
    signal: AbortSignal.timeout(60_000),
  });
  try {
    const bytes = entryBytes(NetworkState.genesisEntry(genesis));
    const entry = { index: 0, bytes, leaf: entryLeaf(genesisHash(genesis), bytes) };
    await writer.append({ entries: [entry], heads: [] });
  } finally {
    await writer.release();
  }
}
