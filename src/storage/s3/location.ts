import { z } from 'zod';
import { GrailError } from '../../protocol/errors.ts';

/** Where objects lie. Credentials are no part of it: they come from the environment, a profile or the machine. */
export interface S3Location {
  readonly bucket: string;
  /** Keys are `PREFIX/NAME`; just `NAME` when it is empty. */
  readonly prefix: string;
  /** Null at AWS. */
  readonly endpoint: string | null;
  /** Null as the environment or the profile says. */
  readonly region: string | null;
  /** Whether the bucket stands in the path and not in the host’s name. */
  readonly forcePathStyle: boolean;
}

const PATTERN = 's3://BUCKET/PREFIX?endpoint=URL&region=REGION&forcePathStyle=true';

const querySchema = z.strictObject(
  {
    endpoint: z
      .url({ protocol: /^https?$/, error: 'it is a http or https URL' })
      .max(512)
      .refine((text) => !/[@?#&+%]/.test(text), 'it has no user, query or fragment, and no & + or %')
      .nullable()
      .default(null),
    region: z
      .string()
      .regex(/^[a-z0-9-]{1,32}$/, 'it has lower-case letters, digits and - only')
      .nullable()
      .default(null),
    forcePathStyle: z
      .enum(['true', 'false'])
      .default('false')
      .transform((text) => text === 'true'),
  },
  { error: 'there are the parameters endpoint, region and forcePathStyle only' },
);

const schema = z.strictObject({
  bucket: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'it has 3 to 63 lower-case letters, digits, - and .'),
  prefix: z
    .string()
    .max(512)
    .regex(/^(?:[\w.=-]+(?:\/[\w.=-]+)*)?$/, 'it has letters, digits, - _ . = and single / only'),
  query: querySchema,
});

/** @throws GrailError USAGE; what was written is not repeated, it may hold a secret */
export function parseS3Url(text: string): S3Location {
  if (!URL.canParse(text)) throw refuse('it is not a URL');
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    throw refuse(
      'credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile, never from the URL',
    );
  }
  if (url.port !== '' || url.hash !== '') throw refuse('it has no port and no fragment');
  const query = [...url.searchParams];
  if (new Set(query.map(([name]) => name)).size < query.length) throw refuse('a parameter stands twice');
  const result = schema.safeParse({
    bucket: url.hostname,
    prefix: url.pathname.replace(/^\/|\/$/g, ''),
    query: Object.fromEntries(query),
  });
  if (!result.success) {
    const { path, message } = result.error.issues[0]!;
    throw refuse(`${String(path.at(-1))}: ${message}`);
  }
  const { bucket, prefix } = result.data;
  return { bucket, prefix, ...result.data.query };
}

/** The location as a URL, in one form. */
export function formatS3Url({ bucket, prefix, endpoint, region, forcePathStyle }: S3Location): string {
  const query = new URLSearchParams();
  if (endpoint !== null) query.set('endpoint', endpoint);
  if (region !== null) query.set('region', region);
  if (forcePathStyle) query.set('forcePathStyle', 'true');
  const path = prefix === '' ? '' : `/${prefix}`;
  return `s3://${bucket}${path}${query.size === 0 ? '' : `?${decodeURIComponent(query.toString())}`}`;
}

function refuse(reason: string): GrailError {
  return new GrailError('USAGE', `a place at S3 is written ${PATTERN}: ${reason}`);
}
