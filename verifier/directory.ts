import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { openLedger, openLedgerReadOnly } from '../src/ledger/log.ts';
import { type Genesis, hash32Schema, parseGenesis } from '../src/params/genesis.ts';
import { writeKeyFile } from '../src/proofs/key-file.ts';
import { fromHex, toHex } from '../src/protocol/bytes.ts';
import { canonicalBytes } from '../src/protocol/canonical.ts';
import { GrailError } from '../src/protocol/errors.ts';
import { genesisOf } from '../src/replica/genesis-of.ts';
import { NetworkState } from '../src/replica/state.ts';
import { FolderBlobStore } from '../src/storage/blobs.ts';
import { onDiskLater } from '../src/storage/disk-errors.ts';
import type { Devnet } from './devnet.ts';

const operatorSchema = z.strictObject({
  warning: z.string(),
  verifierKey: hash32Schema,
  beaconSecrets: z.tuple([hash32Schema, hash32Schema]),
});

/** What only a network's operator has. */
export interface OperatorSecrets {
  readonly verifierKey: Uint8Array;
  readonly beaconSecrets: readonly [Uint8Array, Uint8Array];
}

/**
 * A network's folder: `ledger.sqlite` and `blobs/` are the network; `keys/` the key file of a ceremony, where there was one;
 * `operator.json` the secrets of a devnet's operator, `genesis.json` its genesis; `trainer/` a cache of trainer states that a replay can make again.
 */
export class NetworkDirectory {
  readonly path: string;
  readonly blobs: FolderBlobStore;

  constructor(path: string) {
    this.path = resolve(path);
    this.blobs = new FolderBlobStore(join(this.path, 'blobs'));
  }

  get ledgerPath(): string {
    return join(this.path, 'ledger.sqlite');
  }

  /** Whether a network is here. */
  get exists(): boolean {
    return existsSync(this.ledgerPath) && this.hasSecrets;
  }

  /** Where the network's own key files are. */
  get keysPath(): string {
    return join(this.path, 'keys');
  }

  get #operatorPath(): string {
    return join(this.path, 'operator.json');
  }

  get #trainerPath(): string {
    return join(this.path, 'trainer');
  }

  /** Whether the secrets of an operator are here. */
  get hasSecrets(): boolean {
    return existsSync(this.#operatorPath);
  }

  get #genesisPath(): string {
    return join(this.path, 'genesis.json');
  }

  /** Writes a new network here. A kill in the middle leaves a folder in which it can be done again. */
  async create(devnet: Devnet): Promise<void> {
    await mkdir(this.path, { recursive: true });
    await this.blobs.put(devnet.anchor);
    const ledger = openLedger(this.ledgerPath, devnet.genesisHash);
    try {
      if (ledger.size === 0) ledger.append(NetworkState.genesisEntry(devnet.genesis));
    } finally {
      ledger.close();
    }
    await this.createSecrets(devnet);
  }

  /** Writes what of a new network is in no ledger: its genesis to show, its key file, and last the operator's secrets. */
  async createSecrets(devnet: Devnet): Promise<void> {
    await mkdir(this.path, { recursive: true });
    if (devnet.keyFile !== null) {
      await mkdir(this.keysPath, { recursive: true });
      await writeKeyFile(join(this.keysPath, `${devnet.keyFile.circuit}.json`), devnet.keyFile);
    }
    await writeFile(this.#genesisPath, canonicalBytes(devnet.genesis), { flush: true });
    const secrets: z.input<typeof operatorSchema> = {
      warning: 'insecure-dev: keys of a development network, in clear. Never use them elsewhere.',
      verifierKey: toHex(devnet.verifierKey),
      beaconSecrets: [toHex(devnet.beaconSecrets[0]), toHex(devnet.beaconSecrets[1])],
    };
    const staged = `${this.#operatorPath}.new`;
    await writeFile(staged, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600, flush: true });
    await chmod(staged, 0o600);
    await rename(staged, this.#operatorPath);
  }

  /** The genesis that `createSecrets` wrote, or null. @throws GrailError GENESIS_INVALID */
  async writtenGenesis(): Promise<Genesis | null> {
    if (!existsSync(this.#genesisPath)) return null;
    return parseGenesis(parseJson(await readFile(this.#genesisPath, 'utf8')));
  }

  /** The network's genesis. @throws GrailError LEDGER_CORRUPT, GENESIS_INVALID */
  genesis(): Genesis {
    const ledger = openLedgerReadOnly(this.ledgerPath);
    try {
      return genesisOf(ledger);
    } finally {
      ledger.close();
    }
  }

  /** @throws GrailError BAD_REQUEST when the file is not one */
  async secrets(): Promise<OperatorSecrets> {
    const result = operatorSchema.safeParse(parseJson(await readFile(this.#operatorPath, 'utf8')));
    if (!result.success) {
      throw new GrailError(
        'BAD_REQUEST',
        `${this.#operatorPath} is not an operator file: restore it from a copy`,
      );
    }
    const { verifierKey, beaconSecrets } = result.data;
    return {
      verifierKey: fromHex(verifierKey),
      beaconSecrets: [fromHex(beaconSecrets[0]), fromHex(beaconSecrets[1])],
    };
  }

  /** Keeps a trainer state, and forgets all but the two newest. @throws GrailError STORAGE_UNAVAILABLE */
  async keepTrainerState(version: number, bytes: Uint8Array): Promise<void> {
    const file = join(this.#trainerPath, `${version}.state`);
    await onDiskLater(file, async () => {
      await mkdir(this.#trainerPath, { recursive: true });
      await writeFile(`${file}.new`, bytes, { flush: true });
      await rename(`${file}.new`, file);
      for (const name of await readdir(this.#trainerPath)) {
        if (Number.parseInt(name, 10) < version - 1) await rm(join(this.#trainerPath, name), { force: true });
      }
    });
  }

  /** A kept trainer state, or null. Its root is the caller's to check. */
  async trainerState(version: number): Promise<Uint8Array | null> {
    try {
      return new Uint8Array(await readFile(join(this.#trainerPath, `${version}.state`)));
    } catch {
      return null;
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
