import { join } from 'node:path';
import { type NatsServer, startNats } from './nats.ts';
import { type PostgresServer, startPostgres } from './postgres.ts';
import { S3_CREDENTIALS, type S3Server, startS3 } from './s3.ts';

export interface ServersOptions {
  /** Where they keep their data for the next start; folders of their own unless given. */
  readonly folder?: string;
  /** Whether blobs go to a server that speaks S3, or into a folder. */
  readonly blobs: 's3' | { readonly folder: string };
  /** Whether commits of the database wait for the disk. */
  readonly fsync: boolean;
}

/** The servers in which the processes of verifiers meet, on this machine. */
export interface Servers {
  readonly postgres: PostgresServer;
  readonly nats: NatsServer;
  /** Null where blobs lie in a folder. */
  readonly s3: S3Server | null;
  /** Where the processes of a network meet: a database of its own, and blobs below its name. */
  placesOf(network: string): Promise<{
    readonly database: string;
    readonly blobs: string;
    readonly bus: string;
    /** Variables that processes need besides. */
    readonly env: Readonly<Record<string, string>>;
  }>;
  stop(): Promise<void>;
}

/** Starts them. @throws GrailError CHILD_FAILED with what a server said */
export async function startServers(options: ServersOptions): Promise<Servers> {
  const { folder, blobs, fsync } = options;
  const at = (name: string) => (folder === undefined ? {} : { folder: join(folder, name) });
  const started: { stop(): Promise<void> }[] = [];
  const stop = async () => {
    for (let server = started.pop(); server !== undefined; server = started.pop()) await server.stop();
  };
  const keep = <S extends { stop(): Promise<void> }>(server: S): S => {
    started.push(server);
    return server;
  };
  try {
    const postgres = keep(await startPostgres({ ...at('postgres'), fsync }));
    const nats = keep(await startNats(at('nats')));
    const s3 = blobs === 's3' ? keep(await startS3(at('s3'))) : null;
    return {
      postgres,
      nats,
      s3,
      async placesOf(network) {
        return {
          database: await postgres.createDatabase(network),
          blobs: s3 === null ? join((blobs as { folder: string }).folder, network) : s3.urlOf(network),
          bus: nats.url,
          env: s3 === null ? {} : S3_CREDENTIALS,
        };
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
