import {
  type PostgresOptions,
  type PostgresServer,
  startPostgres as start,
} from '../../deploy/servers/postgres.ts';

export { type PostgresServer, runSql } from '../../deploy/servers/postgres.ts';

/** Of the superuser: tests look for it where it must not be. */
export const PASSWORD = 'correct-horse-battery-staple';

/** A database server for a test. Commits do not wait for the disk: a test that ends processes does not see it. */
export function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  return start({ fsync: false, password: PASSWORD, ...options });
}
