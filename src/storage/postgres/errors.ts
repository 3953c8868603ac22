import { DatabaseError } from 'pg';
import { GrailError } from '../../protocol/errors.ts';
import type { PostgresAddress } from './url.ts';

/** SQLSTATEs that time does not heal, and what a person does about each. */
const LASTING: Readonly<Record<string, (address: PostgresAddress) => string>> = {
  '28000': () =>
    'the server refuses this user or this way to connect: correct PGUSER, sslmode or pg_hba.conf',
  '28P01': () => 'the password is wrong: set PGPASSWORD, or correct the user',
  '3D000': ({ database }) => `there is no database ${database}: make it (createdb ${database})`,
  '42501': ({ schema }) =>
    `this user may not use it: grant it CREATE on the database, or the schema ${schema}`,
  '42P01': ({ schema }) => `there is no ledger in the schema ${schema}: create it first`,
};

/** SQLSTATEs of a server that takes nothing now, with what helps. */
const PASSING: Readonly<Record<string, string>> = {
  '25006': 'it is read-only: connect to the primary, or make it writable',
  '53100': 'its disk is full: free space',
  '53300': 'it has too many connections: raise max_connections',
  '57014': 'it took too long: see what holds it up',
};

/** Classes of SQLSTATEs that say nothing about what was asked: connection, transaction, resources, operator, system, locks. */
const PASSING_CLASSES = ['08', '40', '53', '55', '57', '58'];

/** Damaged data and a damaged index. */
const DAMAGED = ['XX001', 'XX002'];

/** A unique key that is taken. */
export const UNIQUE_VIOLATION = '23505';

/** Whether waiting may help; if not, a person has to change something. */
export function mayPass(error: unknown): boolean {
  return (
    error instanceof GrailError && error.code === 'STORAGE_UNAVAILABLE' && error.details.lasting !== true
  );
}

/**
 * Gives what `pg` throws a code: STORAGE_UNAVAILABLE, or LEDGER_CORRUPT for damaged pages. Other errors of the server, which
 * are ours, stay as they are.
 */
export function translate(error: unknown, address: PostgresAddress): unknown {
  if (!(error instanceof Error) || error instanceof GrailError) return error;
  const reason = error.message || String((error as NodeJS.ErrnoException).code);
  const { name } = address;
  const unavailable = (what: string, lasting = false) =>
    new GrailError(
      'STORAGE_UNAVAILABLE',
      `${name}: ${what}`,
      { database: name, reason, ...(lasting && { lasting }) },
      { cause: error },
    );
  if (!(error instanceof DatabaseError)) {
    // The handshake's own errors: no password, or a server that asks for another kind of one.
    if (reason.startsWith('SASL')) return unavailable(LASTING['28P01']!(address), true);
    return unavailable(`the server does not answer (${reason}): see that it runs and can be reached`);
  }
  const { code = '' } = error;
  const lasting = LASTING[code];
  if (lasting !== undefined) return unavailable(lasting(address), true);
  const passing = PASSING[code];
  if (passing !== undefined) return unavailable(passing);
  if (PASSING_CLASSES.includes(code.slice(0, 2))) {
    return unavailable(`it takes nothing now (${reason}): see the server’s log`);
  }
  if (!DAMAGED.includes(code)) return error;
  const details = { database: name, reason };
  return new GrailError('LEDGER_CORRUPT', `${name} is damaged: ${reason}`, details, { cause: error });
}
