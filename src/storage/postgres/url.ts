import { Client, type PoolConfig } from 'pg';
import { z } from 'zod';
import { GrailError } from '../../protocol/errors.ts';

/** The schema of a ledger whose URL names none. */
const DEFAULT_SCHEMA = 'grail';

/** What a URL may say behind its `?`; the session's own settings are not among it. */
const parametersSchema = z.strictObject({
  schema: z
    .string()
    .regex(/^(?!pg_)[a-z_][a-z0-9_]{0,62}$/, 'up to 63 of a-z, 0-9 and _, not beginning with pg_')
    .default(DEFAULT_SCHEMA),
  sslmode: z.enum(['disable', 'require', 'verify-ca', 'verify-full']).optional(),
  sslrootcert: z.string().min(1).optional(),
  sslcert: z.string().min(1).optional(),
  sslkey: z.string().min(1).optional(),
  /** Folder of a Unix socket. */
  host: z.string().startsWith('/').optional(),
});

/** Where a database is, as `pg` takes it. */
export interface PostgresAddress {
  /** For people: without the password. */
  readonly name: string;
  readonly database: string;
  readonly schema: string;
  readonly config: PoolConfig;
}

/**
 * Reads `postgres://USER@HOST:PORT/DATABASE?schema=grail&sslmode=verify-full`. What it leaves out comes from libpq's
 * environment (PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLMODE).
 * @throws GrailError USAGE; the password is in no message
 */
export function parsePostgresUrl(text: string): PostgresAddress {
  const url = URL.parse(text);
  if (url === null || !['postgres:', 'postgresql:'].includes(url.protocol)) {
    throw wrong('it is no URL that begins with postgres://');
  }
  const names = [...url.searchParams.keys()];
  if (new Set(names).size < names.length) throw wrong('it gives a parameter twice');
  const parsed = parametersSchema.safeParse(Object.fromEntries(url.searchParams));
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    throw wrong([...path, message].join(': '));
  }
  const { schema } = parsed.data;
  url.searchParams.delete('schema');
  // What sslmode means to libpq and to everybody who has used it.
  if (url.searchParams.has('sslmode')) url.searchParams.set('uselibpqcompat', 'true');
  const config = { connectionString: url.href };
  try {
    // A client that never connects says what the URL and the environment come to.
    const { host, port, user, database = '' } = new Client(config);
    const who = user === undefined ? '' : `${user}@`;
    const where = host.startsWith('/') ? host : `${host.includes(':') ? `[${host}]` : host}:${port}`;
    return { name: `postgres://${who}${where}/${database}?schema=${schema}`, database, schema, config };
  } catch (error) {
    throw wrong((error as Error).message);
  }
}

function wrong(what: string): GrailError {
  return new GrailError(
    'USAGE',
    `the database’s URL cannot be used: ${what}; write postgres://USER@HOST:PORT/DATABASE and give the password as PGPASSWORD`,
  );
}
