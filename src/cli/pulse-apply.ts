import { fromHex, type Hex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { firstDifference } from '../pulse/checks.ts';
import { type PatchHeader, readHeader, type TensorSink } from '../pulse/index.ts';
import { placements, SafetensorsSink, SafetensorsSource, sameLayout } from '../storage/safetensors/index.ts';
import { type Decoded, decode } from './pulse-decode.ts';
import { PatchFile } from './pulse-file.ts';
import { commit, HistoryFile } from './pulse-history.ts';
import { closing, type Keep, type Work } from './pulse-work.ts';

export interface ApplyTask {
  /** Not read for an anchor. */
  readonly base: string | null;
  readonly patch: string;
  readonly out: string;
  readonly history: string | null;
  /** The id that somebody promised. */
  readonly target: Hex | null;
}

export interface ApplyResult extends Omit<Decoded, 'head'> {
  readonly patchBytes: number;
  /** Patches in the history after this one; null without one. */
  readonly historySteps: number | null;
}

/** Writes the state that a patch or an anchor leads to; the history that is given follows. */
export function apply(task: ApplyTask, work: Work): ApplyResult & { readonly out: string } {
  return closing((keep) => {
    const given = opened(task, keep);
    let sink: SafetensorsSink | undefined;
    const decoded = decode({
      ...{ ...given, target: task.target, step: 'apply', work },
      sinkFor: (layout) => {
        sink = keep(new SafetensorsSink(task.out, layout));
        return sink;
      },
    });
    commit(work, sink!, given.history, { head: decoded.head, targetId: fromHex(decoded.targetId) });
    return { out: task.out, ...resultOf(decoded, given) };
  });
}

export interface VerifyTask extends Omit<ApplyTask, 'out'> {
  /** A state that the patch must lead to, byte for byte. */
  readonly expected: string | null;
}

/** Decodes a patch or an anchor and keeps nothing. @throws what apply throws, and PATCH_TARGET_MISMATCH */
export function verify(task: VerifyTask, work: Work): ApplyResult & { readonly compared: boolean } {
  return closing((keep) => {
    const given = opened(task, keep, { readOnly: true });
    const expected = task.expected === null ? null : keep(new SafetensorsSource(task.expected));
    const decoded = decode({
      ...{ ...given, target: task.target, step: 'verify', work },
      sinkFor: (layout) => {
        if (expected === null) return { write() {} };
        const difference = firstDifference(
          placements(layout).map(({ spec }) => spec),
          expected.specs,
        );
        if (difference !== null) throw differs(expected.path, difference);
        if (!sameLayout(layout, expected.layout)) throw differs(expected.path, 'its header differs');
        return comparing(expected);
      },
    });
    expected?.assertUnchanged();
    return { compared: expected !== null, ...resultOf(decoded, given) };
  });
}

/** What both actions work on. */
interface Given {
  readonly patch: PatchFile;
  readonly header: PatchHeader;
  readonly base: SafetensorsSource | null;
  readonly history: HistoryFile | null;
}

function opened(task: Omit<ApplyTask, 'out'>, keep: Keep, options: { readOnly?: boolean } = {}): Given {
  const patch = keep(new PatchFile(task.patch));
  const header = readHeader(patch.open());
  const base = header.kind === 'anchor' || task.base === null ? null : keep(new SafetensorsSource(task.base));
  const history = HistoryFile.given(task.history, header.specs, () => startOf(header), keep, options);
  return { patch, header, base, history };
}

function resultOf(decoded: Decoded, { patch, history }: Given): ApplyResult {
  const { head, ...result } = decoded;
  return { ...result, patchBytes: patch.bytes, historySteps: history === null ? null : head.steps };
}

/** The state that a patch starts from; an anchor's own, since a history left at it by a crash is one. */
function startOf(header: PatchHeader): Uint8Array {
  return fromHex(header.baseId ?? header.targetId);
}

function comparing(expected: SafetensorsSource): TensorSink {
  return {
    write(index, bytes) {
      if (Buffer.compare(bytes, expected.read(index)) === 0) return;
      throw differs(expected.path, `tensor ${expected.specs[index]!.name} differs`);
    },
  };
}

function differs(path: string, what: string): GrailError {
  return new GrailError('PATCH_TARGET_MISMATCH', `the patch does not lead to ${path}: ${what}`);
}
