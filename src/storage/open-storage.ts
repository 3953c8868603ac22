import { resolve } from 'node:path';
import { z } from 'zod';
import { GrailError } from '../protocol/errors.ts';
import { type BlobStore, FolderBlobStore } from './blobs.ts';
import { formatS3Url, parseS3Url, S3BlobStore } from './s3/index.ts';

/** What a verifier may keep elsewhere than in its folder. */
export type StorageRole = 'database' | 'blobs' | 'bus';

/** A place whose URL was checked. */
export interface StoragePlace {
  readonly kind: 'postgres' | 's3' | 'folder' | 'nats';
  /** What a connection takes: it may hold a password. */
  readonly url: string;
  /** The same for people: never with a password. */
  readonly name: string;
}

const ROLES = {
  database: {
    variable: 'GRAIL_DATABASE',
    schemes: ['postgres', 'postgresql'],
    takes: 'postgres://USER@HOST:PORT/DATABASE, and the password as PGPASSWORD',
  },
  blobs: {
    variable: 'GRAIL_BLOBS',
    schemes: ['s3'],
    takes: 's3://BUCKET/PREFIX, and the keys as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; or a folder',
  },
  bus: { variable: 'GRAIL_BUS', schemes: ['nats', 'tls'], takes: 'nats://HOST:PORT or tls://HOST:PORT' },
} as const satisfies Record<StorageRole, { variable: string; schemes: readonly string[]; takes: string }>;

const textSchema = z
  .string()
  .min(1, 'it is empty')
  .max(2048, 'it is longer than 2,048 characters')
  .regex(/^\P{Cc}*$/u, 'it has control characters');

/**
 * Checks where something is kept. What an error says never repeats the text: it may hold a password.
 * @throws GrailError USAGE, with a list of what there is
 */
export function parseStorageUrl(role: StorageRole, text: string): StoragePlace {
  const { variable, schemes, takes } = ROLES[role];
  const refuse = (reason: string) =>
    new GrailError('USAGE', `--${role} (or ${variable}) cannot be used: ${reason}; it takes ${takes}`, {
      flag: `--${role}`,
    });
  const checked = textSchema.safeParse(text);
  if (!checked.success) throw refuse(checked.error.issues[0]!.message);
  const scheme = schemeOf(text);
  if (scheme === null && role === 'blobs') {
    return { kind: 'folder', url: resolve(text), name: resolve(text) };
  }
  if (scheme === null) throw refuse('it is not a URL');
  if (!(schemes as readonly string[]).includes(scheme)) throw refuse(`${scheme}:// is not supported`);
  const place = placeOf(scheme, text);
  if (place === null)
    throw refuse('it is not a sound URL (a password’s own / @ : ? # are written in %-form)');
  return place;
}

/**
 * The places that flags name, or else the environment, where other users of the machine do not see a password as they do in
 * the list of processes. Null where neither names one.
 * @throws GrailError USAGE
 */
export function storagePlaces(
  flags: { readonly [role in StorageRole]?: string | undefined },
  env: NodeJS.ProcessEnv,
): Record<StorageRole, StoragePlace | null> {
  const place = (role: StorageRole) => {
    const text = flags[role] ?? (env[ROLES[role].variable] || null);
    return text === null ? null : parseStorageUrl(role, text);
  };
  return { database: place('database'), blobs: place('blobs'), bus: place('bus') };
}

/** A URL or folder for people: without a password. Of a URL that cannot be read only the scheme is left. */
export function describeUrl(text: string): string {
  const scheme = schemeOf(text);
  if (scheme === null) return text;
  try {
    return placeOf(scheme, text)?.name ?? `${scheme}://…`;
  } catch {
    return `${scheme}://…`;
  }
}

/**
 * Opens a blob store by its URL or folder. A bucket is asked for a name first, so that a wrong one shows at once.
 * @throws GrailError USAGE, STORAGE_UNAVAILABLE
 */
export async function openBlobStore(text: string): Promise<BlobStore> {
  const { kind, url } = parseStorageUrl('blobs', text);
  return kind === 's3' ? await S3BlobStore.open(parseS3Url(url)) : new FolderBlobStore(url);
}

/** Null for a URL that cannot be read, or of a scheme that is not known. @throws GrailError USAGE for one of S3 */
function placeOf(scheme: string, text: string): StoragePlace | null {
  if (scheme === 's3') return { kind: 's3', url: text, name: formatS3Url(parseS3Url(text)) };
  const url = URL.parse(text);
  // A password with a / of its own would end the host’s name: what follows it must not be taken for a database, and shown.
  if (url === null || /[@:]|.\/./.test(url.pathname) || url.search.includes('@') || url.hash !== '')
    return null;
  if (scheme === 'postgres' || scheme === 'postgresql') {
    const user = url.username === '' ? '' : `${url.username}@`;
    return { kind: 'postgres', url: text, name: `postgres://${user}${url.host}${url.pathname}` };
  }
  // A user without a password is a token.
  if (scheme === 'nats' || scheme === 'tls')
    return { kind: 'nats', url: text, name: `${scheme}://${url.host}` };
  return null;
}

function schemeOf(text: string): string | null {
  return /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase() ?? null;
}
