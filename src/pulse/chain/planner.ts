import type { Hex } from '../../protocol/bytes.ts';

/** A blob that leads from one place of a graph to others. What a place is (a root, a state with a history) is the caller's. */
export interface Link {
  /** SHA-256 of the blob. */
  readonly hash: Hex;
  readonly bytes: number;
  /** Null when it starts from nothing: an anchor. */
  readonly from: string | null;
  readonly to: readonly string[];
}

export interface Route<L extends Link> {
  /** In order; empty when nothing is to be done. */
  readonly links: readonly L[];
  /** Sum of the links' bytes. */
  readonly bytes: number;
}

interface Reached<L> {
  readonly bytes: number;
  readonly length: number;
  readonly last: L | null;
}

/**
 * The cheapest route in bytes from any of `have`, or from nothing, to `want`. Among equally cheap ones the one with fewest
 * links, then the first in the order of `links`. Null when there is none.
 * @param links best in the order in which they were published: then one pass finds everything
 * @param unavailable hashes of blobs known to be lost or corrupt
 */
export function cheapestRoute<L extends Link>(
  links: readonly L[],
  have: readonly string[],
  want: string,
  unavailable: ReadonlySet<Hex> = new Set(),
): Route<L> | null {
  const reached = new Map<string, Reached<L>>();
  for (const place of have) reached.set(place, { bytes: 0, length: 0, last: null });
  const usable = links.filter(({ hash }) => !unavailable.has(hash));
  // A state that came back later makes further passes necessary.
  for (let improved = true; improved; ) {
    improved = false;
    for (const link of usable) {
      const from = link.from === null ? { bytes: 0, length: 0 } : reached.get(link.from);
      if (from === undefined) continue;
      const next = { bytes: from.bytes + link.bytes, length: from.length + 1, last: link };
      for (const place of link.to) {
        const known = reached.get(place);
        if (known !== undefined && !isCheaper(next, known)) continue;
        reached.set(place, next);
        improved = true;
      }
    }
  }
  const found = reached.get(want);
  if (found === undefined) return null;
  const path: L[] = [];
  for (let place = found; place.last !== null; ) {
    path.push(place.last);
    if (place.last.from === null) break;
    place = reached.get(place.last.from)!;
  }
  return { links: path.reverse(), bytes: found.bytes };
}

function isCheaper<L>(a: Reached<L>, b: Reached<L>): boolean {
  return a.bytes < b.bytes || (a.bytes === b.bytes && a.length < b.length);
}
