import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BUCKET, type S3Server as Server, startS3 as start } from '../../deploy/servers/s3.ts';

export { BUCKET, S3_CREDENTIALS } from '../../deploy/servers/s3.ts';

export interface S3Server extends Server {
  /** Puts an object into the bucket, or alters one, behind the server’s back. */
  write(key: string, bytes: Uint8Array): Promise<void>;
}

export async function startS3(): Promise<S3Server> {
  const server = await start();
  return Object.assign(server, {
    async write(key: string, bytes: Uint8Array) {
      const path = join(server.folder, BUCKET, `${key}._S3rver_object`);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, bytes);
    },
  });
}
