import { createHash, randomUUID } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

// A program: FOLDER PORT BUCKET.

/** What is used of s3rver, which has no types. */
interface Store {
  getResourcePath(bucket: string, key: string, resource: 'object'): string;
  putObject(object: {
    bucket: string;
    key: string;
    content: Readable;
  }): Promise<{ size: number; md5: string }>;
}

const require = createRequire(import.meta.url);
const S3rver = require('s3rver');
const store: Store = require('s3rver/lib/stores/filesystem.js').prototype;

// s3rver’s own answers before its file is written, and others may read half of one. S3 does neither.
store.putObject = async function (this: Store, { bucket, key, content }) {
  const path = this.getResourcePath(bucket, key, 'object');
  const bytes = await buffer(content);
  const staged = `${path}.${randomUUID()}`;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(staged, bytes);
  await rename(staged, path);
  return { size: bytes.length, md5: createHash('md5').update(bytes).digest('hex') };
};

const [directory, port, bucket] = process.argv.slice(2);
const server = new S3rver({
  directory,
  port: Number(port),
  address: '127.0.0.1',
  silent: true,
  configureBuckets: [{ name: bucket }],
});
const { address, port: listening } = await server.run();
console.log(`listening on ${address}:${listening}`);
