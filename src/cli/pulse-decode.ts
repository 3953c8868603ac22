import { fromHex, type Hex, toHex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { firstDifference, requireBase } from '../pulse/checks.ts';
import {
  applyPatch,
  byteLength,
  decodeAnchor,
  FRESH,
  type HistoryHead,
  type Marks,
  type PatchHeader,
  type TensorSink,
  totalBytes,
} from '../pulse/index.ts';
import {
  type Layout,
  placements,
  plainLayout,
  type SafetensorsSource,
} from '../storage/safetensors/index.ts';
import { damaged, type PatchFile } from './pulse-file.ts';
import type { HistoryFile } from './pulse-history.ts';
import { stoppable, type Work, watch } from './pulse-work.ts';

/** Largest tensor of an anchor: it is in memory whole, and an anchor of some bytes can promise any size. */
export const MAX_TENSOR_BYTES = 17_179_869_184;

/** What a patch or an anchor led to. */
export interface Decoded {
  readonly kind: 'patch' | 'anchor';
  readonly baseId: Hex | null;
  readonly targetId: Hex;
  readonly stateBytes: number;
  /** Elements that differ from the base; null for an anchor. */
  readonly changed: number | null;
  readonly head: HistoryHead;
}

/**
 * Decodes a patch or an anchor into the sink that `sinkFor` gives for the files of the new state. Nothing of the sink may be
 * used before this returns.
 * @throws GrailError PATCH_FORMAT, PATCH_BASE_MISMATCH, PATCH_TARGET_MISMATCH, PATCH_HISTORY_MISMATCH, USAGE without a base
 */
export function decode(input: {
  readonly patch: PatchFile;
  readonly header: PatchHeader;
  readonly base: SafetensorsSource | null;
  readonly history: HistoryFile | null;
  readonly target: Hex | null;
  readonly step: string;
  readonly sinkFor: (layout: Layout) => TensorSink;
  readonly work: Work;
}): Decoded {
  const { patch, header, base, work } = input;
  const { kind, specs } = header;
  const targetId = input.target === null ? undefined : fromHex(input.target);
  const told = watch(work, input.step, specs);
  const stateBytes = totalBytes(specs);
  if (kind === 'anchor') {
    const large = specs.find((spec) => byteLength(spec) > MAX_TENSOR_BYTES);
    if (large !== undefined) {
      throw new GrailError('TOO_LARGE', `tensor ${large.name} has more than ${MAX_TENSOR_BYTES} bytes`, {
        got: byteLength(large),
      });
    }
    const sinkFor = () => input.sinkFor(layoutOf(header, patch.layout ?? plainLayout(specs)));
    const done = decodeAnchor({ anchor: patch.open(work.stop), sinkFor, targetId, ...told });
    const ids = { baseId: null, targetId: toHex(done.targetId) };
    return { kind, ...ids, stateBytes, changed: null, head: FRESH };
  }
  if (base === null) throw new GrailError('USAGE', 'a patch needs the state that it starts from: BASE PATCH');
  requireBase(header, base.specs);
  const past = header.keepsHistory ? pastOf(header, input.history) : null;
  const done = applyPatch({
    base: stoppable(base, work),
    patch: patch.open(work.stop),
    sink: input.sinkFor(layoutOf(header, patch.layout ?? base.layout)),
    targetId,
    ...(past !== null && past),
    ...told,
  });
  base.assertUnchanged();
  const ids = { baseId: header.baseId, targetId: toHex(done.targetId) };
  return { kind, ...ids, stateBytes, changed: done.changed, head: done.head };
}

/** The history that a patch was coded with; null for a patch of a new history that nobody wants to follow. */
function pastOf(
  header: PatchHeader,
  history: HistoryFile | null,
): { head: HistoryHead; marks: Marks } | null {
  const { historySteps: steps, historyTag } = header;
  if (steps === 0) return history?.begin(true) ?? null;
  const past = history?.begin() ?? null;
  if (past !== null && past.head.steps === steps && toHex(past.head.tag) === historyTag) return past;
  const held = past === null ? 'none was given' : `this one has ${past.head.steps}`;
  throw new GrailError(
    'PATCH_HISTORY_MISMATCH',
    `the patch needs the history of the ${steps === 1 ? 'patch' : `${steps} patches`} before it, and ${held}: apply all of them in order with --history FILE, or ` +
      'ask for a patch that needs none (grail pulse merge, or an anchor)',
    {
      expected: { steps, tag: historyTag },
      got: past && { steps: past.head.steps, tag: toHex(past.head.tag) },
    },
  );
}

function layoutOf(header: PatchHeader, layout: Layout): Layout {
  const laidOut = placements(layout).map(({ spec }) => spec);
  const difference = firstDifference(header.specs, laidOut);
  if (difference !== null) throw damaged(`its section is another one’s (${difference})`);
  return layout;
}
