import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GrailError } from '../../src/protocol/errors.ts';
import { FolderBlobStore } from '../../src/storage/blobs.ts';
import {
  describeUrl,
  openBlobStore,
  parseStorageUrl,
  type StorageRole,
  storagePlaces,
} from '../../src/storage/open-storage.ts';
import { packageRoot } from '../../src/storage/package-root.ts';
import { formatS3Url, parseS3Url } from '../../src/storage/s3/index.ts';
import { expectCode } from '../helpers/expect-code.ts';

test.each<[StorageRole, string, string, string]>([
  ['database', 'postgres://grail:hush@db:5432/net?schema=x', 'postgres', 'postgres://grail@db:5432/net'],
  ['database', 'postgresql://db/net', 'postgres', 'postgres://db/net'],
  ['database', 'postgres://grail:h%2Fus%40h@db/net', 'postgres', 'postgres://grail@db/net'],
  ['database', 'postgres://', 'postgres', 'postgres://'],
  ['bus', 'nats://grail:hush@bus:4222', 'nats', 'nats://bus:4222'],
  ['bus', 'tls://token@bus', 'nats', 'tls://bus'],
  ['blobs', 's3://bucket', 's3', 's3://bucket'],
  ['blobs', 's3://bucket/a/b/?region=eu-west-1', 's3', 's3://bucket/a/b?region=eu-west-1'],
  ['blobs', '/srv/blobs', 'folder', '/srv/blobs'],
])('%s %s is a place of kind %s, shown as %s', (role, text, kind, name) => {
  expect(parseStorageUrl(role, text)).toEqual({ kind, url: text, name });
  expect(describeUrl(text)).toBe(name);
});

test.each<[StorageRole, string, string]>([
  ['database', 'mysql://db/net', 'mysql:// is not supported'],
  ['database', 's3://bucket/net', 's3:// is not supported'],
  ['database', 'net.sqlite', 'it is not a URL'],
  ['database', 'postgres://db:port/net', 'not a sound URL'],
  ['database', 'postgres://db/net/more', 'not a sound URL'],
  ['database', 'postgres://db/net#more', 'not a sound URL'],
  ['blobs', 'file:///srv/blobs', 'file:// is not supported'],
  ['blobs', '', 'it is empty'],
  ['blobs', `/${'x'.repeat(2048)}`, 'longer'],
  ['blobs', '/srv/\nblobs', 'control characters'],
  ['bus', 'kafka://bus', 'kafka:// is not supported'],
  ['bus', 'nats://bus/path/more', 'not a sound URL'],
])('%s %j is refused, with what there is instead', async (role, text, reason) => {
  const error = await expectCode('USAGE', () => parseStorageUrl(role, text));
  expect(error.message).toContain(reason);
  expect(error.message).toContain(`--${role} (or GRAIL_${role.toUpperCase()})`);
});

test.each([
  ['s3://KEY:hush@bucket/net', 'never from the URL'],
  ['s3://KEY@bucket/net', 'never from the URL'],
  ['s3:///net', 'bucket'],
  ['s3://Bucket/net', 'bucket'],
  ['s3://b/net', 'bucket'],
  ['s3://bucket:9000/net', 'no port'],
  ['s3://bucket/net#hush', 'no fragment'],
  ['s3://bucket/a//b', 'prefix'],
  ['s3://bucket/a%2e%2e/b', 'prefix'],
  [`s3://bucket/${'a'.repeat(513)}`, 'prefix'],
  ['s3://bucket/net?endpoint=ftp://host', 'endpoint'],
  ['s3://bucket/net?endpoint=http://KEY:hush@host', 'endpoint'],
  ['s3://bucket/net?endpoint=http://host/a%26b', 'endpoint'],
  ['s3://bucket/net?region=EU', 'region'],
  ['s3://bucket/net?forcePathStyle=yes', 'forcePathStyle'],
  ['s3://bucket/net?secretAccessKey=hush', 'endpoint, region and forcePathStyle only'],
  ['s3://bucket/net?bucket=other', 'endpoint, region and forcePathStyle only'],
  ['s3://bucket/net?__proto__=x', 'endpoint, region and forcePathStyle only'],
  ['s3://bucket/net?region=a&region=b', 'twice'],
])('%s is refused, and no secret is repeated', async (text, reason) => {
  const error = await expectCode('USAGE', () => parseStorageUrl('blobs', text));
  expect(error.message).toContain(reason);
  expect(JSON.stringify(error)).not.toContain('hush');
  expect(describeUrl(text)).toBe('s3://…');
});

test('a place at S3 is written in one form, and read back from it', () => {
  const text = 's3://bucket/a/b?endpoint=http://127.0.0.1:9000&region=us-east-1&forcePathStyle=true';
  const location = parseS3Url(text);
  expect(location).toEqual({
    bucket: 'bucket',
    prefix: 'a/b',
    endpoint: 'http://127.0.0.1:9000',
    region: 'us-east-1',
    forcePathStyle: true,
  });
  expect(formatS3Url(location)).toBe(text);
  expect(parseS3Url('s3://bucket')).toEqual({
    bucket: 'bucket',
    prefix: '',
    endpoint: null,
    region: null,
    forcePathStyle: false,
  });
});

test('no part of a password is shown, whatever characters it has and however it is written', () => {
  const password = fc
    .tuple(fc.constantFrom('', '1', '99', '/', '?', '#', '@', ':', '%'), fc.string({ maxLength: 12 }))
    .map(([first, rest]) => `${first}QZ${rest}QZ`);
  const scheme = fc.constantFrom('postgres', 'postgresql', 'nats', 'tls', 's3');
  fc.assert(
    fc.property(scheme, password, fc.boolean(), (name, secret, encoded) => {
      const text = `${name}://user:${encoded ? encodeURIComponent(secret) : secret}@host/base`;
      expect(describeUrl(text)).not.toContain('QZ');
      for (const role of ['database', 'blobs', 'bus'] as const) {
        try {
          expect(parseStorageUrl(role, text).name).not.toContain('QZ');
        } catch (error) {
          if (!(error instanceof GrailError)) throw error;
          expect(error.code).toBe('USAGE');
          expect(JSON.stringify(error)).not.toContain('QZ');
        }
      }
    }),
    { numRuns: 2_000 },
  );
});

test('a flag goes before the environment, and what neither names is kept in the folder', () => {
  const env = { GRAIL_DATABASE: 'postgres://a/b', GRAIL_BUS: 'nats://one', GRAIL_BLOBS: '' };
  const places = storagePlaces({ bus: 'nats://two' }, env);
  expect(places.database?.name).toBe('postgres://a/b');
  expect(places.bus?.name).toBe('nats://two');
  expect(places.blobs).toBeNull();
});

test('a folder is opened as a store of blobs, and the SDK of S3 is not loaded for it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'grail-open-'));
  try {
    const store = await openBlobStore(folder);
    expect(store).toBeInstanceOf(FolderBlobStore);
    const program = `
      import { registerHooks } from 'node:module';
      const seen = [];
      registerHooks({ resolve: (name, context, next) => { seen.push(name); return next(name, context); } });
      const { openBlobStore } = await import('./src/storage/open-storage.ts');
      const store = await openBlobStore(${JSON.stringify(folder)});
      await store.put(Uint8Array.of(1));
      console.log(seen.includes('./s3/index.ts'), seen.some((name) => name.startsWith('@aws-sdk')));
    `;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
      cwd: packageRoot(),
      encoding: 'utf8',
    });
    expect(stdout.trim(), stderr).toBe('true false');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
