import { z } from 'zod';
import { MAX_ENTRY_BYTES } from '../ledger/entry.ts';
import { headSchema, type TreeHead } from '../ledger/head.ts';
import { addressSchema, hash32Schema } from '../params/genesis.ts';
import { parseVerificationKey, type VerificationKey } from '../proofs/verification-key.ts';
import { concat, equalBytes, type Hex, toHex, u32, utf8 } from '../protocol/bytes.ts';
import { canonicalBytes } from '../protocol/canonical.ts';
import { GrailError } from '../protocol/errors.ts';
import { sha256 } from '../protocol/hash.ts';
import { MAX_BLOB_BYTES } from '../storage/blobs.ts';

/** An entry of the ledger, with its audit path in the tree of the bundle's head. */
export interface BundledEntry {
  readonly index: number;
  readonly bytes: Uint8Array;
  /** 32 bytes each, from the leaf up. */
  readonly proof: readonly Uint8Array[];
}

/**
 * What a stranger needs to judge one window again, offline. bundled-window.ts says which entries those are, and holds them
 * against the head.
 */
export interface Bundle {
  readonly window: number;
  readonly head: TreeHead;
  readonly verificationKey: VerificationKey;
  /** By index. */
  readonly entries: readonly BundledEntry[];
  /** Credits before the window's verdict, base units, of those who have some. */
  readonly totals: ReadonlyMap<Hex, bigint>;
  /** The trainer's state before the window, encoded. */
  readonly trainerState: Uint8Array;
  /** An anchor, and the patches that lead from it to the window's policies. */
  readonly blobs: readonly Uint8Array[];
}

const MAGIC = utf8('GRAILWIN');
const VERSION = 1;
/** Bytes of the fixed part: magic, u32 version, u32 bytes of the header. */
const FIXED = MAGIC.length + 8;
const HASH_BYTES = 32;

/** Nothing in a bundle is compressed: what is read is what is held. */
export const MAX_BUNDLE_BYTES = 1_073_741_824;
const MAX_HEADER_BYTES = 67_108_864;
const MAX_ENTRIES = 1_048_576;
/** Of the audit path: the ledger's indices end at 2^40. */
const MAX_PATH = 40;

const length = (max: number) => z.int().min(0).max(max);

const headerSchema = z.strictObject({
  window: length(2 ** 40),
  head: headSchema,
  verificationKey: z.looseObject({}),
  /** Address and total, in order of address. */
  totals: z.array(z.tuple([addressSchema, z.string().regex(/^[1-9][0-9]{0,38}$/)])).max(MAX_ENTRIES),
  entries: z
    .array(
      z.strictObject({ index: length(2 ** 40), bytes: length(MAX_ENTRY_BYTES), proof: length(MAX_PATH) }),
    )
    .max(MAX_ENTRIES),
  trainerState: length(MAX_BUNDLE_BYTES),
  blobs: z.array(z.strictObject({ hash: hash32Schema, bytes: length(MAX_BLOB_BYTES) })).max(MAX_ENTRIES),
});

/**
 * The one encoding of a bundle: the magic, u32 version, u32 bytes of the header, the header as canonical JSON, then as the
 * header lists them the entries, each before its audit path, the trainer's state and the blobs.
 * @throws GrailError TOO_LARGE
 */
export function encodeBundle(bundle: Bundle): Uint8Array {
  const header = canonicalBytes({
    window: bundle.window,
    head: bundle.head,
    verificationKey: bundle.verificationKey,
    totals: [...bundle.totals].sort(byAddress).map(([miner, total]) => [miner, total.toString()]),
    entries: bundle.entries.map(({ index, bytes, proof }) => ({
      index,
      bytes: bytes.length,
      proof: proof.length,
    })),
    trainerState: bundle.trainerState.length,
    blobs: bundle.blobs.map((bytes) => ({ hash: toHex(sha256(bytes)), bytes: bytes.length })),
  });
  const parts = [
    MAGIC,
    u32(VERSION),
    u32(header.length),
    header,
    ...bundle.entries.flatMap(({ bytes, proof }) => [bytes, ...proof]),
    bundle.trainerState,
    ...bundle.blobs,
  ];
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  if (size > MAX_BUNDLE_BYTES || header.length > MAX_HEADER_BYTES) {
    throw new GrailError(
      'TOO_LARGE',
      `the bundle would have ${size} bytes, more than ${MAX_BUNDLE_BYTES}: hand on the network's folder instead`,
    );
  }
  return concat(...parts);
}

const byAddress = ([a]: readonly [Hex, bigint], [b]: readonly [Hex, bigint]) => (a < b ? -1 : 1);

/**
 * Reads a bundle; nothing of it is believed yet. `encodeBundle` of the result gives the same bytes.
 * @throws GrailError BAD_REQUEST when it is not one, TOO_LARGE, KEY_MISMATCH for a malformed key
 */
export function decodeBundle(bytes: Uint8Array): Bundle {
  if (bytes.length > MAX_BUNDLE_BYTES) {
    throw new GrailError('TOO_LARGE', `a bundle has at most ${MAX_BUNDLE_BYTES} bytes`, {
      got: bytes.length,
    });
  }
  const fixed = new DataView(bytes.buffer, bytes.byteOffset, Math.min(FIXED, bytes.length));
  if (bytes.length < FIXED || !equalBytes(bytes.subarray(0, MAGIC.length), MAGIC)) {
    throw malformed('it does not begin as one');
  }
  const version = fixed.getUint32(MAGIC.length);
  if (version !== VERSION) throw malformed(`its version is ${version}, not ${VERSION}: use a newer grail`);
  const headerBytes = fixed.getUint32(MAGIC.length + 4);
  if (headerBytes > MAX_HEADER_BYTES || FIXED + headerBytes > bytes.length) throw malformed('it is cut off');
  const header = parseHeader(bytes.subarray(FIXED, FIXED + headerBytes));

  let at = FIXED + headerBytes;
  const take = (count: number) => {
    if (at + count > bytes.length) throw malformed('it is cut off');
    at += count;
    return bytes.subarray(at - count, at);
  };
  const entries = header.entries.map(({ index, bytes: size, proof }) => ({
    index,
    bytes: take(size),
    proof: Array.from({ length: proof }, () => take(HASH_BYTES)),
  }));
  const trainerState = take(header.trainerState);
  const blobs = header.blobs.map(({ hash, bytes: size }) => {
    const blob = take(size);
    const got = toHex(sha256(blob));
    if (got === hash) return blob;
    throw new GrailError('BLOB_CORRUPT', 'a blob of the bundle is not what its header says', {
      expected: hash,
      got,
    });
  });
  if (at !== bytes.length) throw malformed(`${bytes.length - at} bytes follow its end`);
  return {
    window: header.window,
    head: header.head,
    verificationKey: header.verificationKey,
    entries,
    totals: new Map(header.totals.map(([miner, total]) => [miner, BigInt(total)])),
    trainerState,
    blobs,
  };
}

function parseHeader(bytes: Uint8Array) {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw malformed('its header is not UTF-8 JSON');
  }
  const result = headerSchema.safeParse(value);
  if (!result.success) {
    const issue = result.error.issues[0]!;
    throw malformed(`header: ${issue.path.join('.') || 'document'}: ${issue.message}`);
  }
  const { data } = result;
  const verificationKey = parseVerificationKey(data.verificationKey);
  const header = { ...data, verificationKey };
  if (!equalBytes(canonicalBytes(header), bytes)) throw malformed('its header is not canonical JSON');
  requireAscending(
    'totals',
    data.totals.map(([miner]) => miner),
  );
  requireAscending(
    'entries',
    data.entries.map(({ index }) => index),
  );
  return header;
}

function requireAscending(what: string, keys: readonly (string | number)[]): void {
  for (let i = 1; i < keys.length; i++) {
    if (keys[i - 1]! >= keys[i]!) throw malformed(`header: ${what} are not in order, or repeat`);
  }
}

function malformed(reason: string): GrailError {
  return new GrailError(
    'BAD_REQUEST',
    `the file is not a bundle of a window: ${reason}. Fetch it again, or make it with grail export --bundle`,
  );
}
