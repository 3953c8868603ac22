import type { Hex } from '../../protocol/bytes.ts';
import type { Manifest } from './manifest.ts';
import { linkOf } from './places.ts';

/**
 * The sequence before which a log may be forgotten: the last anchor but one, since the newest may just be arriving
 * somewhere, or earlier, where a patch that stays starts from what an earlier manifest gives.
 */
export function retentionCut(log: readonly Manifest[]): number {
  let cut = log.filter(({ kind }) => kind === 'anchor').at(-2)?.sequence ?? log[0]?.sequence ?? 0;
  for (let giver = giverBefore(log, cut); giver !== null; giver = giverBefore(log, cut)) cut = giver;
  return cut;
}

/** The last manifest before `cut` that gives what a patch behind it starts from, if nothing behind it does. */
function giverBefore(log: readonly Manifest[], cut: number): number | null {
  const links = log.map(linkOf);
  const given = new Set<string>();
  for (const { manifest, from, to } of links) {
    if (manifest.sequence < cut) continue;
    if (manifest.kind === 'patch' && !given.has(from!)) {
      const giver = links.findLast((link) => link.manifest.sequence < cut && link.to.includes(from!));
      if (giver !== undefined) return giver.manifest.sequence;
    }
    for (const place of to) given.add(place);
  }
  return null;
}

/** Blobs that no manifest names any more, until their grace is over. */
export class Doomed {
  readonly #due = new Map<Hex, number>();

  add(hash: Hex, sequence: number): void {
    this.#due.set(hash, sequence);
  }

  /** What may be deleted once the log has reached `sequence`; a blob that the log names again is saved. */
  ripe(sequence: number, log: readonly Manifest[]): Hex[] {
    const named = new Set(log.map(({ blob }) => blob.hash));
    for (const hash of named) this.#due.delete(hash);
    return [...this.#due].filter(([, due]) => due <= sequence).map(([hash]) => hash);
  }

  delete(hash: Hex): void {
    this.#due.delete(hash);
  }
}
