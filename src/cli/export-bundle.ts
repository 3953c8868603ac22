import { join } from 'node:path';
import { NetworkDirectory } from '../../verifier/directory.ts';
import { loadBackend } from '../backends/index.ts';
import { loadNetworkKey } from '../proofs/network-key.ts';
import { type Hex, toHex } from '../protocol/bytes.ts';
import { encodeBundle } from '../replica/bundle.ts';
import { replayedStart } from '../replica/load-judge.ts';
import { makeBundle } from '../replica/make-bundle.ts';
import { StagedFile } from '../storage/staged-file.ts';
import { trainerStateRootOfBytes } from '../training/index.ts';
import type { NetworkSource } from './source.ts';

export interface BundleSummary {
  readonly window: number;
  readonly bytes: number;
  readonly entries: number;
  readonly blobs: number;
  readonly treeSize: number;
  readonly treeRoot: Hex;
}

/** Writes the bundle of a window into a file. @throws what `makeBundle` and `encodeBundle` throw, and for the file */
export async function exportBundle(options: {
  readonly source: NetworkSource;
  readonly window: number;
  readonly file: string;
  readonly keyFile: string | undefined;
  readonly err: (line: string) => void;
  readonly signal: AbortSignal;
}): Promise<BundleSummary> {
  const { source, window, file, keyFile, err, signal } = options;
  const { genesis, ledger, blobs, directory } = source;
  const staged = new StagedFile(file);
  try {
    const verificationKey = async () => {
      const key = await loadNetworkKey(genesis, {
        ...(keyFile !== undefined && { keyFile }),
        keyFolder: join(directory, 'keys'),
        onProgress: ({ message }) => err(message),
        signal,
      });
      return key.verificationKey;
    };
    const trainerState = (root: Hex) => stateBefore(source, window, root, err);
    const bundle = await makeBundle({ genesis, ledger, blobs, verificationKey, window, trainerState });
    signal.throwIfAborted();
    const bytes = encodeBundle(bundle);
    staged.write(bytes);
    staged.commit();
    const { treeSize, treeRoot } = bundle.head;
    return {
      window,
      bytes: bytes.length,
      entries: bundle.entries.length,
      blobs: bundle.blobs.length,
      treeSize,
      treeRoot,
    };
  } finally {
    staged.close();
  }
}

/** The trainer's state before a window: from the verifier's cache where that has it, else trained again. */
async function stateBefore(
  { genesis, ledger, directory }: NetworkSource,
  window: number,
  root: Hex,
  err: (line: string) => void,
): Promise<Uint8Array> {
  const kept = await new NetworkDirectory(directory).trainerState(window);
  if (kept !== null && toHex(trainerStateRootOfBytes(kept)) === root) return kept;
  err(`training again up to window ${window}`);
  const backend = await loadBackend('simd');
  const progress = (done: number) => err(`window ${done} of ${window}`);
  return (await replayedStart(genesis, ledger, backend, progress, window)).trainerState;
}
