import { serverFolder } from './folder.ts';
import { pathOf, type ServerProcess, startServer } from './process.ts';
import { natsServer } from './programs.ts';

/** A NATS server of its own with JetStream, on a port of this machine. */
export interface NatsServer {
  /** `nats://127.0.0.1:PORT`, the same after a restart. */
  readonly url: string;
  readonly pid: number;
  /** Resolves when it has ended, with the reason. */
  ended(): Promise<string>;
  /** Ends it at once, as a power cut would; what it had on the disk stays. */
  kill(): Promise<void>;
  /** Starts it again after `kill`, on the same port and folder. */
  start(): Promise<void>;
  /** Ends it, and removes a folder that was not given. */
  stop(): Promise<void>;
}

export interface NatsOptions {
  /** Where it keeps its data for the next start; a folder of its own unless given. */
  readonly folder?: string;
  /** A free one unless given. */
  readonly port?: number;
  /** More flags of the server's own, for example `--user`. */
  readonly flags?: readonly string[];
}

/** @throws GrailError CHILD_FAILED with what the server said, when it does not start */
export async function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  const path = pathOf(natsServer);
  const folder = serverFolder('nats', options.folder ?? null);
  const run = (port: string) =>
    startServer(
      path,
      [
        ...['--addr', '127.0.0.1', '--port', port],
        ...['--jetstream', '--store_dir', folder.path],
        ...(options.flags ?? []),
      ],
      /Listening for client connections on 127\.0\.0\.1:(\d+)/,
    );
  let server: ServerProcess = await run(String(options.port ?? -1));
  const port = server.ready[1]!;
  return {
    url: `nats://127.0.0.1:${port}`,
    get pid() {
      return server.pid;
    },
    ended: () => server.ended,
    kill: () => server.kill(),
    async start() {
      server = await run(port);
    },
    async stop() {
      await server.kill('SIGTERM');
      folder.remove();
    },
  };
}
