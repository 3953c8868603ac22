import type { Hex } from '../protocol/bytes.ts';
import { toHex } from '../protocol/bytes.ts';
import { elementCount, readHeader, stateId, type TensorSpec, totalBytes } from '../pulse/index.ts';
import { SafetensorsSource } from '../storage/safetensors/index.ts';
import { PatchFile } from './pulse-file.ts';
import { closing, stoppable, type Work, watch } from './pulse-work.ts';

export interface Inspection {
  readonly kind: 'patch' | 'anchor';
  readonly bytes: number;
  readonly headerBytes: number;
  /** Bytes of the section with the new files' headers; 0 without one. */
  readonly layoutBytes: number;
  readonly overwrite: boolean;
  readonly baseId: Hex | null;
  readonly targetId: Hex;
  /** The history that it needs; null when none. */
  readonly history: { readonly steps: number; readonly tag: Hex } | null;
  readonly stateBytes: number;
  readonly elements: number;
  readonly tensors: readonly TensorSpec[];
}

/** What a patch or an anchor says of itself. None of it is verified. */
export function inspect({ patch: path }: { readonly patch: string }): Inspection {
  return closing((keep) => {
    const patch = keep(new PatchFile(path));
    const header = readHeader(patch.open());
    const { kind, overwrite, baseId, targetId, headerBytes, specs } = header;
    return {
      ...{ kind, overwrite, baseId, targetId, headerBytes },
      bytes: patch.bytes,
      layoutBytes: patch.bytes - patch.patchBytes,
      history: header.keepsHistory ? { steps: header.historySteps, tag: header.historyTag } : null,
      stateBytes: totalBytes(specs),
      elements: elements(specs),
      tensors: specs,
    };
  });
}

export interface Identity {
  readonly id: Hex;
  readonly stateBytes: number;
  readonly elements: number;
  readonly tensors: number;
}

/** The id of a state, from all of its bytes. */
export function identify({ state }: { readonly state: string }, work: Work): Identity {
  return closing((keep) => {
    const source = keep(new SafetensorsSource(state));
    const { specs } = source;
    const id = toHex(stateId(stoppable(source, work), watch(work, 'id', specs)));
    source.assertUnchanged();
    return { id, stateBytes: totalBytes(specs), elements: elements(specs), tensors: specs.length };
  });
}

function elements(specs: readonly TensorSpec[]): number {
  return specs.reduce((sum, spec) => sum + elementCount(spec), 0);
}
