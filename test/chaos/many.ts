import { join } from 'node:path';
import { Cluster, type Member } from '../../deploy/cluster.ts';
import { type NatsServer, startNats } from '../../deploy/servers/nats.ts';
import { type PostgresServer, startPostgres } from '../../deploy/servers/postgres.ts';
import { parseStorageUrl } from '../../src/storage/open-storage.ts';
import type { Devnet } from '../../verifier/devnet.ts';
import { NetworkDirectory } from '../../verifier/directory.ts';
import { lineLog } from '../../verifier/log.ts';
import { openNetwork } from '../../verifier/open-network.ts';
import type { Actor, Kind } from './actor.ts';
import { copyOut } from './copy-out.ts';
import type { Side, SideOptions } from './side.ts';

const SIZES = { sequencer: 2, gateway: 2, checker: 2, trainer: 1 } as const;

/** Lines that are kept of each process, to tell why it ended. */
const LAST_LINES = 12;

export interface ManyOptions extends SideOptions {
  /** Seconds after which a standby takes over. */
  readonly leaseSeconds: number;
  /** Environment of the database server. */
  readonly databaseEnv?: Readonly<Record<string, string>>;
}

/** A verifier of seven processes, which meet in PostgreSQL and NATS. */
export class ManyProcesses implements Side {
  readonly #options: ManyOptions;
  readonly #last = new Map<string, string[]>();
  #cluster: Cluster | null = null;
  #actors: Actor[] = [];
  #postgres: PostgresServer | null = null;
  #nats: NatsServer | null = null;
  #database = '';
  #urls: readonly string[] = [];
  #holder = '';

  constructor(options: ManyOptions) {
    this.#options = options;
  }

  get actors(): readonly Actor[] {
    return this.#actors;
  }

  get postgres(): PostgresServer {
    return this.#postgres!;
  }

  get nats(): NatsServer {
    return this.#nats!;
  }

  /** The sequencer that has the lease, or had it last. */
  get holder(): string {
    return this.#holder;
  }

  /** The process of a role. */
  member(name: string): Member | undefined {
    return this.#cluster!.members.find((member) => member.name === name);
  }

  async start(devnet: Devnet): Promise<void> {
    const { folder, flags, leaseSeconds, databaseEnv, onLine, onEnded } = this.#options;
    this.#postgres = await startPostgres({ fsync: false, ...(databaseEnv && { env: databaseEnv }) });
    this.#nats = await startNats();
    this.#database = await this.#postgres.createDatabase();
    const places = { database: this.#database, blobs: join(folder, 'blobs'), bus: this.#nats.url };
    await openNetwork({
      directory: new NetworkDirectory(join(folder, 'operator')),
      places: {
        database: parseStorageUrl('database', places.database),
        blobs: parseStorageUrl('blobs', places.blobs),
        bus: parseStorageUrl('bus', places.bus),
      },
      role: 'sequencer',
      log: lineLog((line) => onLine('network', line)),
      make: async () => devnet,
    });
    this.#cluster = new Cluster({
      folder,
      places,
      sizes: SIZES,
      port: 0,
      flags: [],
      sequencerFlags: [...flags, '--lease', String(leaseSeconds)],
      onLine: (name, line) => {
        if (line.includes('has the lease')) this.#holder = name;
        const last = this.#last.get(name) ?? [];
        this.#last.set(name, [...last, line].slice(-LAST_LINES));
        onLine(name, line);
      },
      onEnded: (name, reason) => onEnded(name, reason, this.#last.get(name) ?? []),
    });
    await this.#cluster.start();
    this.#urls = await this.#cluster.urls();
    this.#actors = [...this.#roles(), this.#server('postgres'), this.#server('nats')];
  }

  urls(): readonly string[] {
    return this.#urls;
  }

  async stop(): Promise<void> {
    await this.#cluster?.stop();
  }

  async close(): Promise<void> {
    await Promise.all([this.#postgres?.stop(), this.#nats?.stop()]);
  }

  async copyOut(folder: string): Promise<void> {
    await copyOut({ database: this.#database, blobs: join(this.#options.folder, 'blobs'), folder });
  }

  #roles(): Actor[] {
    const cluster = this.#cluster!;
    return (Object.keys(SIZES) as (keyof typeof SIZES)[]).flatMap((role) =>
      Array.from({ length: SIZES[role] }, (_, index): Actor => {
        const name = `${role}-${index}`;
        const { member, holds } = { member: () => this.member(name), holds: () => this.#holder === name };
        return {
          name,
          kind: role,
          get running() {
            return member() !== undefined;
          },
          get part() {
            if (role !== 'sequencer') return role;
            return holds() ? 'sequencer with the lease' : 'sequencer, standby';
          },
          launch: async () => void (member() ?? cluster.launch(role, index)),
          kill: () => cluster.kill(name),
        };
      }),
    );
  }

  #server(kind: Kind & ('postgres' | 'nats')): Actor {
    const server = kind === 'postgres' ? this.postgres : this.nats;
    let running = true;
    return {
      name: kind,
      kind,
      part: kind,
      get running() {
        return running;
      },
      async launch() {
        if (running) return;
        await server.start();
        running = true;
      },
      async kill() {
        running = false;
        await server.kill();
      },
    };
  }
}
