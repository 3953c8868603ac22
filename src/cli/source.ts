import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { type Ledger, openLedgerReadOnly } from '../ledger/log.ts';
import type { Genesis } from '../params/genesis.ts';
import { GrailError } from '../protocol/errors.ts';
import { decodeBundle, MAX_BUNDLE_BYTES } from '../replica/bundle.ts';
import { BundledWindow } from '../replica/bundled-window.ts';
import { genesisOf } from '../replica/genesis-of.ts';
import { FolderBlobStore } from '../storage/blobs.ts';
import { downloadNetwork } from './download.ts';

/** A network's ledger and blobs, in its own folder or in a copy that goes when it is closed. */
export interface NetworkSource {
  readonly kind: 'network';
  readonly directory: string;
  /** Whether it was fetched from a verifier: then it has the newest head alone. */
  readonly fetched: boolean;
  readonly ledger: Ledger;
  readonly genesis: Genesis;
  readonly blobs: FolderBlobStore;
  close(): void;
}

export interface BundleSource {
  readonly kind: 'bundle';
  readonly bundled: BundledWindow;
  close(): void;
}

export const sourcePositional = z
  .string()
  .min(1)
  .describe('a network’s folder, a bundle of a window (grail export --bundle), or a verifier’s http address');

export const maxMibFlag = z
  .int()
  .min(1)
  .max(1_048_576)
  .default(16_384)
  .describe('of a verifier: MiB of entries and blobs at which fetching them is given up');

/**
 * Opens what a command reads.
 * @throws GrailError NOT_FOUND when nothing is there, and what reading, fetching or opening it throws
 */
export async function openSource(
  text: string,
  options: {
    readonly withBlobs: boolean;
    readonly maxMib: number;
    readonly err: (line: string) => void;
    readonly signal: AbortSignal;
  },
): Promise<NetworkSource | BundleSource> {
  if (/^https?:\/\//i.test(text)) {
    const folder = mkdtempSync(join(tmpdir(), 'grail-fetched-'));
    const remove = () => rmSync(folder, { recursive: true, force: true });
    try {
      const { withBlobs, maxMib, err: onProgress, signal } = options;
      await downloadNetwork(text, folder, { withBlobs, maxBytes: maxMib * 1_048_576, onProgress, signal });
      return openFolder(folder, true, remove);
    } catch (error) {
      remove();
      throw error;
    }
  }
  const found = statSync(text, { throwIfNoEntry: false });
  if (found === undefined) {
    throw new GrailError('NOT_FOUND', `${text} is neither a folder nor a file: check the path`, {
      path: text,
    });
  }
  if (found.isDirectory()) return openFolder(text, false, () => {});
  if (found.size > MAX_BUNDLE_BYTES) {
    throw new GrailError('TOO_LARGE', `${text} is larger than any bundle`, { got: found.size });
  }
  const bundled = new BundledWindow(decodeBundle(new Uint8Array(readFileSync(text))));
  return { kind: 'bundle', bundled, close() {} };
}

function openFolder(directory: string, fetched: boolean, remove: () => void): NetworkSource {
  const ledger = openLedgerReadOnly(join(directory, 'ledger.sqlite'));
  const close = () => {
    ledger.close();
    remove();
  };
  try {
    const blobs = new FolderBlobStore(join(directory, 'blobs'));
    return { kind: 'network', directory, fetched, ledger, genesis: genesisOf(ledger), blobs, close };
  } catch (error) {
    close();
    throw error;
  }
}
