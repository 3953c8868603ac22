import { toHex } from '../../protocol/bytes.ts';
import { GrailError } from '../../protocol/errors.ts';
import type { PostgresAddress } from './url.ts';

/** Version of the tables below; another value is refused rather than guessed at. */
export const SCHEMA_VERSION = 1;

/** Any number of processes may create the same ledger at once: one at a time does. */
const CREATION_LOCK = 0x47_52_41_49_4c;

/**
 * Statements, in one transaction, that make the tables of a ledger unless they are there.
 * @param schema checked by `parsePostgresUrl`
 * @param genesisHash 32 bytes
 */
export function creation({ schema }: PostgresAddress, genesisHash: Uint8Array): string {
  return `
    SELECT pg_advisory_xact_lock(${CREATION_LOCK});
    -- Whoever may not make schemas can still use one that was made for it.
    DO $$ BEGIN
      IF to_regnamespace('"${schema}"') IS NULL THEN CREATE SCHEMA "${schema}"; END IF;
    END $$;
    CREATE TABLE IF NOT EXISTS "${schema}".meta (
      one boolean PRIMARY KEY DEFAULT true CHECK (one),
      version integer NOT NULL,
      genesis_hash bytea NOT NULL CHECK (length(genesis_hash) = 32)
    );
    CREATE TABLE IF NOT EXISTS "${schema}".entries (
      idx bigint PRIMARY KEY CHECK (idx >= 0),
      bytes bytea NOT NULL,
      leaf bytea NOT NULL CHECK (length(leaf) = 32)
    );
    CREATE TABLE IF NOT EXISTS "${schema}".heads (
      position bigint PRIMARY KEY CHECK (position >= 0),
      bytes bytea NOT NULL
    );
    CREATE UNIQUE INDEX IF NOT EXISTS heads_bytes ON "${schema}".heads (sha256(bytes));
    CREATE TABLE IF NOT EXISTS "${schema}".lease (
      one boolean PRIMARY KEY DEFAULT true CHECK (one),
      epoch bigint NOT NULL,
      holder text,
      expires timestamptz NOT NULL
    );
    INSERT INTO "${schema}".lease (epoch, expires) VALUES (0, '-infinity') ON CONFLICT DO NOTHING;
    INSERT INTO "${schema}".meta (version, genesis_hash)
      VALUES (${SCHEMA_VERSION}, '\\x${toHex(genesisHash).slice(2)}') ON CONFLICT DO NOTHING;
  `;
}

/** @throws GrailError LEDGER_CORRUPT */
export function checkVersion({ name }: PostgresAddress, version: number): void {
  if (version === SCHEMA_VERSION) return;
  throw new GrailError('LEDGER_CORRUPT', `${name} is not a GRAIL ledger of version ${SCHEMA_VERSION}`, {
    database: name,
    expected: SCHEMA_VERSION,
    got: version,
  });
}
