import { fileURLToPath } from 'node:url';
import { formatS3Url } from '../../src/storage/s3/index.ts';
import { serverFolder } from './folder.ts';
import { type ServerProcess, startServer } from './process.ts';

/** The bucket that is there. */
export const BUCKET = 'grail-blobs';

/** The keys that the server takes, as the SDK reads them from the environment. */
export const S3_CREDENTIALS = { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER' };

/** A server of its own that speaks S3 (s3rver), with a bucket, on a port of this machine: to try things, not to keep them. */
export interface S3Server {
  /** `http://127.0.0.1:PORT`, the same after a restart. */
  readonly endpoint: string;
  readonly pid: number;
  /** Resolves when it has ended, with the reason. */
  ended(): Promise<string>;
  /** Where objects lie. */
  readonly folder: string;
  /** A place in the bucket, as `--blobs` takes it. */
  urlOf(prefix: string): string;
  /** Ends it at once, as a power cut would; what it had on the disk stays. */
  kill(): Promise<void>;
  /** Starts it again after `kill`, on the same port and folder. */
  start(): Promise<void>;
  /** Ends it, and removes a folder that was not given. */
  stop(): Promise<void>;
}

export interface S3Options {
  /** Where it keeps its data for the next start; a folder of its own unless given. */
  readonly folder?: string;
  /** A free one unless given. */
  readonly port?: number;
}

/** @throws GrailError CHILD_FAILED with what the server said, when it does not start */
export async function startS3(options: S3Options = {}): Promise<S3Server> {
  const folder = serverFolder('s3', options.folder ?? null);
  const program = fileURLToPath(new URL('./s3rver-program.ts', import.meta.url));
  // The tokens of its pages are made with DES, which OpenSSL counts as legacy.
  const run = (port: string) =>
    startServer(
      process.execPath,
      ['--openssl-legacy-provider', program, folder.path, port, BUCKET],
      /listening on 127\.0\.0\.1:(\d+)/,
    );
  let server: ServerProcess = await run(String(options.port ?? 0));
  const port = server.ready[1]!;
  const endpoint = `http://127.0.0.1:${port}`;
  return {
    endpoint,
    folder: folder.path,
    get pid() {
      return server.pid;
    },
    ended: () => server.ended,
    urlOf: (prefix) =>
      formatS3Url({ bucket: BUCKET, prefix, endpoint, region: 'us-east-1', forcePathStyle: true }),
    kill: () => server.kill(),
    async start() {
      server = await run(port);
    },
    async stop() {
      await server.kill();
      folder.remove();
    },
  };
}
