import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster, type Sizes } from '../../deploy/cluster.ts';
import type { Servers } from '../../deploy/servers/index.ts';
import { DEMO_PASSWORD } from '../../src/cli/demo-network.ts';
import { createKeystore } from '../../src/cli/keystore.ts';
import type { LedgerEntry } from '../../src/ledger/entry.ts';
import type { Ledger } from '../../src/ledger/log.ts';
import { openMirror } from '../../src/ledger/mirror.ts';
import type { Hex } from '../../src/protocol/bytes.ts';
import { Identity } from '../../src/protocol/identity.ts';
import type { AuditReport } from '../../src/replica/audit.ts';
import { openBlobStore, storagePlaces } from '../../src/storage/open-storage.ts';
import { openPostgres } from '../../src/storage/postgres/index.ts';
import { makeDevnet } from '../../verifier/devnet.ts';
import { NetworkDirectory } from '../../verifier/directory.ts';
import { lineLog } from '../../verifier/log.ts';
import { openNetwork } from '../../verifier/open-network.ts';
import { GrailProcess } from './grail-process.ts';
import { auditLedger } from './live-network.ts';

interface Processes {
  readonly sizes: Sizes;
  readonly sequencerFlags?: readonly string[];
}

export interface LiveClusterOptions extends Processes {
  readonly seed: number;
  readonly miners: number;
  /** Name of its blobs, and of its database unless that is given. */
  readonly name: string;
  /** URL of its database. */
  readonly database?: string;
}

type Places = Awaited<ReturnType<Servers['placesOf']>>;

/** A development network that a verifier of several processes runs, on real servers. */
export class LiveCluster {
  readonly folder: string;
  readonly places: Places;
  readonly addresses: readonly Hex[];
  readonly processes: Cluster;
  /** What the processes wrote on stderr, by name. */
  readonly lines: { readonly name: string; readonly line: string }[] = [];
  #heard: () => void = () => {};

  private constructor(folder: string, places: Places, addresses: readonly Hex[], options: Processes) {
    this.folder = folder;
    this.places = places;
    this.addresses = addresses;
    const { sizes, sequencerFlags = [] } = options;
    this.processes = new Cluster({
      folder,
      places,
      env: places.env,
      sizes,
      port: 0,
      sequencerFlags: ['--phase-timeout', '600', ...sequencerFlags],
      onLine: (name, line) => {
        this.lines.push({ name, line });
        this.#heard();
      },
    });
  }

  /** Makes the network, with genesis miners; nothing runs yet. */
  static async make(servers: Servers, options: LiveClusterOptions): Promise<LiveCluster> {
    const folder = mkdtempSync(join(tmpdir(), 'grail-cluster-'));
    const found = await servers.placesOf(options.name);
    const places = { ...found, ...(options.database !== undefined && { database: options.database }) };
    // This process reads blobs too, and the SDK finds its keys in the environment.
    Object.assign(process.env, places.env);
    const devnet = await makeDevnet({ seed: options.seed, miners: options.miners });
    const addresses = devnet.minerKeys.map((key) => new Identity(key).address);
    const network = new LiveCluster(folder, places, addresses, options);
    for (const [i, key] of devnet.minerKeys.entries()) {
      await createKeystore(network.#keystore(i), DEMO_PASSWORD, 'fast', key);
    }
    await openNetwork({
      directory: new NetworkDirectory(network.operator),
      places: storagePlaces(places, {}),
      role: 'sequencer',
      log: lineLog(() => {}),
      make: async () => devnet,
    });
    return network;
  }

  /** Takes over a network from copies of its operator's and its miners' folders; nothing runs yet. */
  static adopt(
    places: Places,
    from: { readonly operator: string; readonly miners: string },
    options: Processes,
  ): LiveCluster {
    const folder = mkdtempSync(join(tmpdir(), 'grail-cluster-'));
    const network = new LiveCluster(folder, places, [], options);
    cpSync(from.operator, network.operator, { recursive: true });
    cpSync(from.miners, join(folder, 'miners'), { recursive: true });
    return network;
  }

  /** The folder of the sequencers. */
  get operator(): string {
    return join(this.folder, 'operator');
  }

  /** A process beside those of the cluster, for example on another folder. */
  process(role: string, folder: string, ...flags: string[]): GrailProcess {
    const { database, blobs, bus, env } = this.places;
    const where = ['--database', database, '--blobs', blobs, '--bus', bus, '--port', '0', '--json'];
    return new GrailProcess(['verifier', '--role', role, '--dir', folder, ...where, ...flags], { env });
  }

  /** Starts a miner with one slot. */
  miner(index: number, url: string): GrailProcess {
    const args = ['miner', '--verifier', url, '--keystore', this.#keystore(index), '--slots', '1', '--json'];
    return new GrailProcess(args, { env: { GRAIL_RUNTIME: this.folder } });
  }

  /** Waits for a line of a process of the cluster, from place `from` of all lines on. */
  async line(
    pattern: RegExp,
    name?: string,
    from = 0,
  ): Promise<{ readonly name: string; readonly line: string }> {
    const found = () =>
      this.lines.slice(from).find((heard) => pattern.test(heard.line) && (name ?? heard.name) === heard.name);
    const known = found();
    if (known !== undefined) return known;
    return new Promise((resolve) => {
      this.#heard = () => {
        const heard = found();
        if (heard === undefined) return;
        this.#heard = () => {};
        resolve(heard);
      };
    });
  }

  /** Reads the shared ledger as it is now. */
  async read<T>(action: (ledger: Ledger) => T | Promise<T>): Promise<T> {
    const database = openPostgres(this.places.database);
    try {
      const mirror = await openMirror(database, { signal: new AbortController().signal });
      try {
        return await action(mirror.ledger);
      } finally {
        mirror.close();
      }
    } finally {
      await database.close();
    }
  }

  entries(): Promise<LedgerEntry[]> {
    return this.read((ledger) => [...ledger.range()].map(({ entry }) => entry));
  }

  audit(): Promise<AuditReport> {
    return this.read(async (ledger) => auditLedger(ledger, await openBlobStore(this.places.blobs)));
  }

  async remove(): Promise<void> {
    await this.processes.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #keystore(miner: number): string {
    return join(this.folder, 'miners', `${miner}.json`);
  }
}
