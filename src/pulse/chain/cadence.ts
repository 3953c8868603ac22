import { z } from 'zod';
import { anchorPays } from '../anchor-debt.ts';
import type { Manifest } from './manifest.ts';

/** When a publisher does more than append a patch. Unknown options are refused. */
export const cadenceSchema = z.strictObject({
  /** Patches after which the history starts anew, and late receivers may find a merged patch. */
  resetEvery: z.int().min(1).max(65_536).default(32),
  /** States of earlier reset points to hold in memory, from which merged patches are made; 0: none are. */
  heldResets: z.int().min(0).max(64).default(2),
  /** Whether patches use a history: a byte a weight on both sides, for smaller patches. */
  history: z.boolean().default(true),
  /** Manifests to be published before a dropped blob is deleted, so that readers finish what they planned. */
  graceManifests: z.int().min(0).max(65_536).default(64),
});

export type Cadence = z.infer<typeof cadenceSchema>;
export type CadenceOptions = z.input<typeof cadenceSchema>;

/** Manifests after which an anchor comes however small the patches are: a newcomer verifies at most about twice as many. */
export const MAX_MANIFESTS_PER_ANCHOR = 4096;

/**
 * Whether a patch of `patchBytes` makes the patches since the last anchor as large as the anchor itself: with a new one
 * then, nobody ever fetches more than twice an anchor.
 */
export function anchorDue(log: readonly Manifest[], patchBytes: number): boolean {
  const last = log.findLastIndex(({ kind }) => kind === 'anchor');
  const since = log.slice(last + 1);
  if (last === -1) return true;
  const patches = since.filter(({ kind }) => kind === 'patch');
  const debt = {
    anchorBytes: log[last]!.blob.bytes,
    patchBytes: patches.reduce((sum, { blob }) => sum + blob.bytes, 0),
    versions: since.length,
  };
  return anchorPays(debt, patchBytes, MAX_MANIFESTS_PER_ANCHOR + 1);
}

/** Whether a merged patch of `bytes` is worth its place: less than the patches after `sequence` that it replaces. */
export function mergedPays(log: readonly Manifest[], sequence: number, bytes: number): boolean {
  const replaced = log.filter((manifest) => manifest.kind === 'patch' && manifest.sequence > sequence);
  return bytes < replaced.reduce((sum, { blob }) => sum + blob.bytes, 0);
}

/** Distances in reset points over which merged patches lead: 1, 2, 4, … */
export function mergedDistances(held: number): number[] {
  const distances: number[] = [];
  for (let distance = 1; distance <= held; distance *= 2) distances.push(distance);
  return distances;
}
