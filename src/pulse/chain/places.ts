import type { Hex } from '../../protocol/bytes.ts';
import { FRESH_TAG, type Manifest } from './manifest.ts';
import type { Link } from './planner.ts';

/**
 * Places of a chain's graph: a state and the history with which it is held. Whoever holds any history may drop it, so
 * every state is also held with a fresh one.
 */

export function place(id: Hex, tag: Hex): string {
  return `${id}:${tag}`;
}

/** Where the holder of a state is. */
export function placesOf(id: Hex, tag: Hex): string[] {
  return tag === FRESH_TAG ? [place(id, tag)] : [place(id, tag), place(id, FRESH_TAG)];
}

export interface ManifestLink extends Link {
  readonly manifest: Manifest;
}

export function linkOf(manifest: Manifest): ManifestLink {
  const { baseId, targetId, history, blob } = manifest;
  return {
    hash: blob.hash,
    bytes: blob.bytes,
    from: baseId === null ? null : place(baseId, history.needs?.tag ?? FRESH_TAG),
    to: placesOf(targetId, history.gives.tag),
    manifest,
  };
}
