import { entryBytes, entryLeaf, parseEntry } from '../src/ledger/entry.ts';
import { type Genesis, genesisHash } from '../src/params/genesis.ts';
import { GrailError } from '../src/protocol/errors.ts';
import { genesisOfEntry } from '../src/replica/genesis-of.ts';
import { NetworkState } from '../src/replica/state.ts';
import type { LedgerDatabase } from '../src/storage/ledger-database.ts';
import type { Role } from './config.ts';
import type { Devnet } from './devnet.ts';
import type { NetworkDirectory } from './directory.ts';
import { importNetwork } from './import-network.ts';
import type { Log } from './log.ts';
import { openBlobs, openDatabase, type Places } from './roles/backends.ts';
import { operatorOf } from './roles/operator.ts';

export interface OpenNetworkOptions {
  readonly directory: NetworkDirectory;
  readonly places: Places;
  readonly role: Role;
  readonly log: Log;
  readonly signal?: AbortSignal;
  readonly make: () => Promise<Devnet>;
}

/**
 * Sees to it that there is a network to be run: where a sequencer finds none in the database, the network of its folder is
 * copied there, or else a development network is made.
 * @throws GrailError NOT_FOUND when the folder has no secrets of the network; GENESIS_MISMATCH when they are of another;
 *   STORAGE_UNAVAILABLE, and what copying throws
 */
export async function openNetwork(options: OpenNetworkOptions): Promise<void> {
  const { directory, places, role, log, make, signal = new AbortController().signal } = options;
  const writes = role === 'all' || role === 'sequencer';
  if (places.database === null) {
    if (directory.exists || !writes) return;
    await directory.create(await make());
    log.info('made a new development network', { directory: directory.path });
    return;
  }
  const database = (await openDatabase(places))!;
  try {
    if (!writes) return;
    if (directory.exists) {
      const blobs = await openBlobs(places, directory);
      await importNetwork(directory, { database, blobs, log, signal });
    }
    const name = await database.genesisHash();
    const [first] = name === null ? [] : await database.read(0, 1);
    if (name !== null && !directory.hasSecrets) {
      throw new GrailError(
        'NOT_FOUND',
        `${database.name} holds a network, and ${directory.path} no operator.json of it: copy that file there`,
        { directory: directory.path },
      );
    }
    if (first !== undefined) {
      // Before it waits for a lease: a standby with the wrong keys is none.
      operatorOf(genesisOfEntry(parseEntry(first.bytes)), await directory.secrets());
      return;
    }
    // A creation that was killed after it had named the network is finished with the genesis that it wrote.
    if (name === null) {
      const devnet = await make();
      const blobs = await openBlobs(places, directory);
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
