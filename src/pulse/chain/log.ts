import type { Hex } from '../../protocol/bytes.ts';
import { GrailError } from '../../protocol/errors.ts';
import { type Manifest, manifestDigest, type Trust, verifyManifest } from './manifest.ts';

/** Most manifests that a log may list: more are refused before any is looked at. */
export const MAX_LOG_MANIFESTS = 65_536;

/** The last manifest that someone has seen of a log. */
export interface Seen {
  readonly sequence: number;
  readonly digest: Hex;
}

/**
 * Checks what a store lists: each manifest by itself, and that each follows from the one before it. It may begin anywhere,
 * since publishers drop what is old.
 * @param known digests with signatures that were verified before: they are not verified again
 * @throws GrailError MANIFEST_INVALID, MANIFEST_OUT_OF_ORDER or TOO_LARGE
 */
export function verifyLog(
  values: readonly unknown[],
  trust: Trust,
  known: Map<Hex, Manifest> = new Map(),
): Manifest[] {
  if (values.length > MAX_LOG_MANIFESTS) {
    throw new GrailError('TOO_LARGE', `a log may list at most ${MAX_LOG_MANIFESTS} manifests`, {
      got: values.length,
    });
  }
  const log: Manifest[] = [];
  for (const value of values) {
    const manifest = remembered(value, known) ?? verifyManifest(value, trust);
    known.set(manifest.signature, manifest);
    const before = log.at(-1);
    if (before !== undefined) checkSuccessor(before, manifest);
    log.push(manifest);
  }
  return log;
}

/**
 * Holds a log against what was seen of it before.
 * @throws GrailError MANIFEST_ROLLED_BACK when it ends earlier, MANIFEST_FORKED when it has another manifest there
 */
export function checkSeen(log: readonly Manifest[], seen: Seen | null): void {
  if (seen === null) return;
  const last = log.at(-1);
  if (last === undefined || last.sequence < seen.sequence) {
    throw new GrailError(
      'MANIFEST_ROLLED_BACK',
      'the log ends before what was seen of it: ask another relay, or wait for this one',
      { expected: seen.sequence, got: last?.sequence ?? null },
    );
  }
  const same = log.find(({ sequence }) => sequence === seen.sequence);
  const next = log.find(({ sequence }) => sequence === seen.sequence + 1);
  // When both were dropped since, what follows is signed, and that is all that can be known.
  const got = same === undefined ? next?.previous : manifestDigest(same);
  if (got === undefined || got === seen.digest) return;
  throw new GrailError(
    'MANIFEST_FORKED',
    'the log has another manifest where one was seen: the publisher, or two with its key, signed both',
    { sequence: seen.sequence, expected: seen.digest, got },
  );
}

function checkSuccessor(before: Manifest, next: Manifest): void {
  const follows =
    next.sequence === before.sequence + 1 &&
    next.previous === manifestDigest(before) &&
    next.step >= before.step &&
    (next.step > before.step || next.targetId === before.targetId);
  if (follows) return;
  throw new GrailError(
    'MANIFEST_OUT_OF_ORDER',
    'the log’s manifests do not follow one from the other: ask another relay',
    { after: before.sequence, got: next.sequence, step: next.step },
  );
}

/** The verified manifest that `value` is, field by field. */
function remembered(value: unknown, known: ReadonlyMap<Hex, Manifest>): Manifest | null {
  const signature = (value as { signature?: unknown } | null)?.signature;
  const manifest = typeof signature === 'string' ? known.get(signature as Hex) : undefined;
  if (manifest === undefined) return null;
  try {
    return manifestDigest(value as Manifest) === manifestDigest(manifest) ? manifest : null;
  } catch {
    return null;
  }
}
