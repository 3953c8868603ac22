import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ServerProcess, startServer } from './server-process.ts';

/** The bucket that is there. */
export const BUCKET = 'grail-blobs';

/** The keys that the server takes, as the SDK reads them from the environment. */
export const S3_CREDENTIALS = { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER' };

/** A server of its own that speaks S3 (s3rver), with a bucket in a folder of its own, on a free port of this machine. */
export interface S3Server {
  /** `http://127.0.0.1:PORT`, the same after a restart. */
  readonly endpoint: string;
  /** Puts an object into the bucket, or alters one, behind the server’s back. */
  write(key: string, bytes: Uint8Array): Promise<void>;
  /** Ends it at once, as a power cut would; what it had on the disk stays. */
  kill(): Promise<void>;
  /** Starts it again after `kill`, on the same port and folder. */
  start(): Promise<void>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

/** @throws Error with what the server said, when it does not start */
export async function startS3(): Promise<S3Server> {
  const folder = await mkdtemp(join(tmpdir(), 'grail-s3-'));
  const program = fileURLToPath(new URL('./s3rver-program.ts', import.meta.url));
  // The tokens of its pages are made with DES, which OpenSSL counts as legacy.
  const run = (port: string) =>
    startServer(
      process.execPath,
      ['--openssl-legacy-provider', program, folder, port, BUCKET],
      /listening on 127\.0\.0\.1:(\d+)/,
    );
  let server: ServerProcess = await run('0');
  const port = server.ready[1]!;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    async write(key, bytes) {
      const path = join(folder, BUCKET, `${key}._S3rver_object`);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, bytes);
    },
    kill: () => server.kill(),
    async start() {
      server = await run(port);
    },
    async stop() {
      await server.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
