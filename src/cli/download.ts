import { join } from 'node:path';
import { z } from 'zod';
import { Backoff, pause } from '../../rollouts/backoff.ts';
import { parseReply, parseUrl, request } from '../../rollouts/http.ts';
import { PAGE_ENTRIES } from '../../verifier/limits.ts';
import { entrySchema, type LedgerEntry } from '../ledger/entry.ts';
import { headSchema } from '../ledger/head.ts';
import { type Ledger, openLedger } from '../ledger/log.ts';
import { type Genesis, genesisHash } from '../params/genesis.ts';
import { type Hex, toHex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { sha256 } from '../protocol/hash.ts';
import { bodySchemas } from '../replica/bodies.ts';
import { genesisOfEntry } from '../replica/genesis-of.ts';
import { checkVerifierHead } from '../replica/verifier-head.ts';
import { FolderBlobStore } from '../storage/blobs.ts';

/** How long one answer may take: the largest blob at 2.3 MB/s. */
const REQUEST_TIMEOUT_MS = 60_000;
const ATTEMPTS = 3;

/** Failures that another attempt may not meet. */
const PASSING: ReadonlySet<string> = new Set(['UNREACHABLE', 'TOO_MANY_REQUESTS']);

const pageSchema = z.strictObject({
  from: z.int().min(0),
  size: z.int().min(0),
  entries: z.array(entrySchema).min(1).max(PAGE_ENTRIES),
});

export interface DownloadOptions {
  readonly withBlobs: boolean;
  /** Bytes of all answers together at which it is given up. */
  readonly maxBytes: number;
  /** A line of progress for people. */
  readonly onProgress: (line: string) => void;
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
}

/**
 * Copies a network from a verifier into a folder: the entries under its newest signed head, that head, and the blobs that
 * they name. Nothing is believed that can be checked: entries by the head's root, the head by a verifier's signature, blobs
 * by their hashes. Whether the entries follow the rules is an audit's question.
 * @throws GrailError USAGE, UNREACHABLE, STOPPED, TOO_LARGE; BAD_REQUEST for an answer that is none; NOT_FOUND before the first
 *   head; LEDGER_CORRUPT, LEDGER_INVALID, BAD_SIGNATURE, GENESIS_INVALID, BLOB_MISSING or BLOB_CORRUPT from one that lies
 */
export async function downloadNetwork(url: string, folder: string, options: DownloadOptions): Promise<void> {
  const verifier = new Download(url, options);
  const head = parseReply(headSchema, await verifier.get('v1/head'));
  const genesis = genesisOfEntry((await verifier.page(0))[0]!);
  const hash = genesisHash(genesis);
  checkVerifierHead({ genesis, domain: { chainId: genesis.chainId, genesisHash: hash } }, head);
  const ledger = openLedger(join(folder, 'ledger.sqlite'), hash);
  try {
    while (ledger.size < head.treeSize) {
      const entries = await verifier.page(ledger.size);
      ledger.appendAll(entries.slice(0, head.treeSize - ledger.size));
      options.onProgress(`fetched entry ${ledger.size} of ${head.treeSize}`);
    }
    ledger.putHead(head);
    if (!options.withBlobs) return;
    const blobs = new FolderBlobStore(join(folder, 'blobs'));
    const named = blobsOf(genesis, ledger);
    for (const [i, name] of named.entries()) {
      await blobs.put(await verifier.blob(name));
      options.onProgress(`fetched blob ${i + 1} of ${named.length}`);
    }
  } finally {
    ledger.close();
  }
}

function blobsOf({ initialAnchor }: Genesis, ledger: Ledger): Hex[] {
  const named = new Set([initialAnchor]);
  for (const { entry } of ledger.range()) {
    // A verdict that is malformed is the audit's to name.
    const { data } = bodySchemas.verdict.safeParse(entry.body);
    if (data === undefined) continue;
    named.add(data.update.patch.hash);
    if (data.update.anchor !== null) named.add(data.update.anchor.hash);
  }
  return [...named];
}

class Download {
  readonly #base: URL;
  readonly #options: DownloadOptions;
  #bytes = 0;

  constructor(url: string, options: DownloadOptions) {
    this.#base = parseUrl(url);
    this.#options = options;
  }

  async get(path: string): Promise<Uint8Array> {
    const { signal, timeoutMs = REQUEST_TIMEOUT_MS, maxBytes } = this.#options;
    const backoff = new Backoff();
    for (;;) {
      try {
        const bytes = await request(this.#base, path, { signal, timeoutMs });
        this.#bytes += bytes.length;
        if (this.#bytes <= maxBytes) return bytes;
        throw new GrailError(
          'TOO_LARGE',
          `${this.#base.href} has more than ${maxBytes} bytes to give: raise --max-mib if the network is that large`,
          { maxBytes },
        );
      } catch (error) {
        if (!(error instanceof GrailError) || !PASSING.has(error.code)) throw error;
        if (backoff.attempts + 1 >= ATTEMPTS) throw error;
        await pause(backoff.next(), signal);
      }
    }
  }

  /** Entries from `from` on, at least one. */
  async page(from: number): Promise<LedgerEntry[]> {
    const page = parseReply(pageSchema, await this.get(`v1/entries?from=${from}`));
    if (page.from === from) return page.entries;
    throw new GrailError('BAD_REQUEST', 'the verifier answered with other entries than those asked for', {
      expected: from,
      got: page.from,
    });
  }

  async blob(name: Hex): Promise<Uint8Array> {
    const bytes = await this.get(`v1/blobs/${name}`);
    const got = toHex(sha256(bytes));
    if (got === name) return bytes;
    throw new GrailError('BLOB_CORRUPT', 'the verifier sent other bytes than the hash names', {
      expected: name,
      got,
    });
  }
}
