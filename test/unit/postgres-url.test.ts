import { afterEach, describe, expect, test, vi } from 'vitest';
import { parsePostgresUrl } from '../../src/storage/postgres/url.ts';
import { expectCode } from '../helpers/expect-code.ts';

const SECRET = 'hunter2';

afterEach(() => vi.unstubAllEnvs());

describe('the URL of a PostgreSQL database', () => {
  test.each([
    [`postgres://me:${SECRET}@db.example:5433/ledger`, 'postgres://me@db.example:5433/ledger?schema=grail'],
    [`postgresql://me:${SECRET}@[::1]/ledger?schema=two`, 'postgres://me@[::1]:5432/ledger?schema=two'],
    ['postgres://me@h/x?sslmode=verify-full&schema=s', 'postgres://me@h:5432/x?schema=s'],
  ])('%s is named without its password', (url, name) => {
    expect(parsePostgresUrl(url).name).toBe(name);
  });

  test('leaves to the environment what it does not say', () => {
    vi.stubEnv('PGHOST', 'from-environment');
    vi.stubEnv('PGPORT', '6000');
    vi.stubEnv('PGUSER', 'somebody');
    vi.stubEnv('PGDATABASE', 'ledger');
    const { name } = parsePostgresUrl('postgres://');
    expect(name).toBe('postgres://somebody@from-environment:6000/ledger?schema=grail');
    const socket = parsePostgresUrl('postgres:///other?host=/var/run/postgresql');
    expect(socket.name).toBe('postgres://somebody@/var/run/postgresql/other?schema=grail');
  });

  test.each([
    ['not a URL', SECRET],
    ['another scheme', `mysql://me:${SECRET}@h/x`],
    ['a setting of the session', `postgres://me:${SECRET}@h/x?options=-csynchronous_commit%3Doff`],
    ['a time limit', `postgres://me:${SECRET}@h/x?statement_timeout=0`],
    ['a password as a parameter', `postgres://h/x?password=${SECRET}`],
    ['a parameter twice', `postgres://me:${SECRET}@h/x?schema=a&schema=b`],
    ['a schema that is no plain name', `postgres://me:${SECRET}@h/x?schema=a%22;DROP`],
    ['a schema of the system', `postgres://me:${SECRET}@h/x?schema=pg_catalog`],
    ['an unknown sslmode', `postgres://me:${SECRET}@h/x?sslmode=prefer`],
    ['a host that is no folder', `postgres://me:${SECRET}@h/x?host=i`],
    ['a certificate that is not there', `postgres://me:${SECRET}@h/x?sslmode=require&sslrootcert=/nowhere`],
    ['verify-ca without a certificate', `postgres://me:${SECRET}@h/x?sslmode=verify-ca`],
    ['a path that cannot be read', `postgres://me:${SECRET}@h/%E0%A4%A`],
  ])('that gives %s is refused, and its password is not told', async (_, url) => {
    const error = await expectCode('USAGE', () => parsePostgresUrl(url));
    expect(`${error.message} ${JSON.stringify(error)} ${String(error.cause)}`).not.toContain(SECRET);
  });
});
