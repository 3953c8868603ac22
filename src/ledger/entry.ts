import { z } from 'zod';
import { addressSchema } from '../params/genesis.ts';
import { concat, equalBytes } from '../protocol/bytes.ts';
import { canonicalBytes } from '../protocol/canonical.ts';
import { GrailError } from '../protocol/errors.ts';
import { tag } from '../protocol/hash.ts';
import { leafHash } from '../protocol/merkle.ts';
import { PHASES } from '../protocol/phases.ts';

/** Phases of a window, in their order; `genesis` is that of entry 0 alone. */
export const ENTRY_PHASES = ['genesis', ...PHASES] as const;
export type EntryPhase = (typeof ENTRY_PHASES)[number];

/** Largest entry, in bytes of canonical JSON. A commit may carry 1 MiB of actions, in hex. */
export const MAX_ENTRY_BYTES = 8 * 1_048_576;

export const phaseSchema = z.enum(ENTRY_PHASES);
export const counterSchema = z
  .int()
  .min(0)
  .max(2 ** 40);

export const entrySchema = z.strictObject({
  window: counterSchema,
  phase: phaseSchema,
  view: counterSchema,
  /** Who wrote it: a miner's or verifier's address; null for what the rules themselves produce. */
  author: addressSchema.nullable(),
  body: z.looseObject({ type: z.string().min(1).max(64) }),
});

/** What an entry carries. Each type's own schema is the replica's business, not the log's. */
export type EntryBody = { readonly type: string; readonly [key: string]: unknown };

/** One entry of the ledger (docs/PROTOCOL.md, Ledger). */
export interface LedgerEntry<Body extends { readonly type: string } = EntryBody> {
  readonly window: number;
  readonly phase: EntryPhase;
  readonly view: number;
  readonly author: `0x${string}` | null;
  readonly body: Body;
}

/** The entry as canonical JSON (RFC 8785), UTF-8: what is stored, sent and hashed. */
export function entryBytes(entry: LedgerEntry<EntryBody | { readonly type: string }>): Uint8Array {
  const { window, phase, view, author, body } = entry;
  return canonicalBytes({ window, phase, view, author, body });
}

/**
 * The RFC 6962 leaf hash of an entry: leaf data is tag("entry") ‖ genesisHash ‖ entryBytes, so that a leaf of one
 * network is never one of another.
 */
export function entryLeaf(genesisHash: Uint8Array, bytes: Uint8Array): Uint8Array {
  return leafHash(concat(tag('entry'), genesisHash, bytes));
}

/**
 * Parses stored or received entry bytes.
 * @throws GrailError LEDGER_INVALID when they are not canonical JSON of an entry, naming the first field that is wrong.
 */
export function parseEntry(bytes: Uint8Array): LedgerEntry {
  if (bytes.length > MAX_ENTRY_BYTES) {
    throw new GrailError(
      'LEDGER_INVALID',
      `an entry has ${bytes.length} bytes, more than ${MAX_ENTRY_BYTES}`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw new GrailError('LEDGER_INVALID', 'an entry is not UTF-8 JSON');
  }
  const result = entrySchema.safeParse(value);
  if (!result.success) {
    const issue = result.error.issues[0]!;
    throw new GrailError('LEDGER_INVALID', `entry: ${issue.path.join('.') || 'document'}: ${issue.message}`, {
      path: issue.path.map(String),
    });
  }
  // One entry has one encoding: repeated keys, spaces or another key order would be other bytes for the same meaning.
  // It is taken of what was parsed: a member `__proto__` is in the bytes, but nobody would ever read it.
  if (!isEncodingOf(result.data, bytes)) {
    throw new GrailError('LEDGER_INVALID', 'an entry is not in canonical JSON (RFC 8785)');
  }
  return result.data;
}

function isEncodingOf(value: unknown, bytes: Uint8Array): boolean {
  try {
    return equalBytes(canonicalBytes(value), bytes);
  } catch {
    // Numbers beyond float64, half a surrogate pair, or nesting beyond the stack have no canonical form.
    return false;
  }
}
