import type { Hex } from '../../protocol/bytes.ts';
import { GrailError } from '../../protocol/errors.ts';
import type { HistoryHead, MemoryMarks } from '../history.ts';
import type { TensorSpec } from '../tensor.ts';
import { checkSeen, type Seen, verifyLog } from './log.ts';
import { type Manifest, manifestDigest, type Trust } from './manifest.ts';
import { linkOf, type ManifestLink, place } from './places.ts';
import { cheapestRoute, type Route } from './planner.ts';
import { Prefetch, type PrefetchLimits } from './prefetch.ts';
import type { HeldState } from './publisher-state.ts';
import { type ReceivedState, ReceiverState, type StateBuffer } from './receiver-state.ts';
import { Serial } from './serial.ts';
import type { PulseReader } from './store.ts';

export interface ReceiverOptions {
  readonly reader: PulseReader;
  readonly trust: Trust;
  /** What a restart finds: a state, its step, and its history when that was saved. It is read, never written to. */
  readonly held?: (HeldState & { readonly step: number }) | undefined;
  /** Last manifest seen before a restart: no older log is taken. */
  readonly seen?: Seen | undefined;
  /** Where states are kept, two at a time; by default memory. */
  readonly room?: ((specs: readonly TensorSpec[]) => StateBuffer) | undefined;
  /** By default two blobs of 256 MiB together. */
  readonly prefetch?: PrefetchLimits | undefined;
  /** Largest state that an anchor may unpack to. */
  readonly maxStateBytes?: number | undefined;
  /**
   * Called after each step of the way, and waited for: the state is whole, is a published one, and lasts until the second
   * step after it.
   */
  readonly onStep?: ((held: ReceivedState, progress: SyncProgress) => void | Promise<void>) | undefined;
}

export interface SyncProgress {
  readonly kind: Manifest['kind'];
  /** Links done and links in all, of the present plan. */
  readonly links: readonly [done: number, all: number];
  readonly bytes: readonly [done: number, all: number];
}

export interface Synced {
  /** Step that was held before; null when nothing was. */
  readonly from: number | null;
  readonly step: number;
  readonly id: Hex;
  /** Manifests whose blobs were applied, in order. */
  readonly applied: readonly Manifest[];
  /** Links that failed and were gone round. */
  readonly avoided: readonly { readonly hash: Hex; readonly code: string }[];
}

const PREFETCH: PrefetchLimits = { blobs: 2, bytes: 268_435_456 };

/** Failures of one link: another way may exist. */
const LINK_FAILURES: ReadonlySet<string> = new Set([
  'BLOB_MISSING',
  'BLOB_CORRUPT',
  'PATCH_FORMAT',
  'PATCH_BASE_MISMATCH',
  'PATCH_TARGET_MISMATCH',
  'PATCH_HISTORY_MISMATCH',
  'TENSORS_INVALID',
  'TOO_LARGE',
]);

/** Follows a publisher's log: after `sync` it holds, bit for bit, the last state that was published. */
export class Receiver {
  readonly #options: ReceiverOptions;
  readonly #state: ReceiverState;
  readonly #serial = new Serial();
  #seen: Seen | null;
  /** By signature, of the log as it was read last: what it still has need not be verified again. */
  #verified = new Map<Hex, Manifest>();

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.#seen = options.seen ?? null;
    this.#state = new ReceiverState(options.room, options.maxStateBytes);
    if (options.held !== undefined) this.#state.resume(options.held);
  }

  get held(): ReceivedState | null {
    return this.#state.held;
  }

  /** To be saved with the state, so that patches that need it still fit after a restart. Both change with the next step. */
  get history(): { readonly head: HistoryHead; readonly marks: MemoryMarks | null } {
    return { head: this.#state.head, marks: this.#state.marks };
  }

  get seen(): Seen | null {
    return this.#seen;
  }

  /**
   * Catches up with the log by the fewest bytes, and goes round links that are missing or bad.
   * @throws GrailError MANIFEST_INVALID, MANIFEST_OUT_OF_ORDER, MANIFEST_FORKED or MANIFEST_ROLLED_BACK for a log that is refused;
   *   PATCH_CHAIN_BROKEN when no way is left; or what the reader throws. What is held then is a published state: the one
   *   before, or one on the way.
   */
  sync(options: { signal?: AbortSignal | undefined } = {}): Promise<Synced> {
    return this.#serial.run(() => this.#sync(options.signal));
  }

  async #sync(signal: AbortSignal | undefined): Promise<Synced> {
    const from = this.held?.step ?? null;
    const applied: Manifest[] = [];
    const avoided = new Map<Hex, string>();
    let log = await this.#read(this.#seen?.sequence ?? 0, signal);
    let complete = this.#seen === null;
    for (;;) {
      const last = log.at(-1)!;
      const route = this.#plan(log, new Set(avoided.keys()));
      if (route !== null) {
        const failure = await this.#follow(route, applied, signal);
        if (failure === null) {
          this.#state.moveTo(last.step);
          const { step, id } = this.held!;
          const gone = [...avoided].map(([hash, code]) => ({ hash, code }));
          return { from, step, id, applied, avoided: gone };
        }
        avoided.set(failure.hash, failure.code);
        complete = false;
        continue;
      }
      // Older links, or what was published meanwhile, may lead on.
      if (complete) throw broken(last, this.held, avoided);
      const again = await this.#read(0, signal);
      complete = true;
      log = again;
    }
  }

  /** The log from a sequence on, verified and held against what was seen before. */
  async #read(from: number, signal: AbortSignal | undefined): Promise<Manifest[]> {
    signal?.throwIfAborted();
    const { reader, trust } = this.#options;
    const log = verifyLog(await reader.listManifests(from, signal), trust, this.#verified);
    checkSeen(log, this.#seen);
    const last = log.at(-1);
    if (last === undefined) {
      throw new GrailError('PATCH_CHAIN_BROKEN', 'nothing was published yet: try again later');
    }
    const held = this.held;
    if (held !== null && last.step < held.step) {
      throw new GrailError(
        'MANIFEST_ROLLED_BACK',
        'the log ends before the step that is held: ask another relay',
        {
          expected: held.step,
          got: last.step,
        },
      );
    }
    this.#seen = { sequence: last.sequence, digest: manifestDigest(last) };
    this.#verified = new Map(log.map((manifest) => [manifest.signature, manifest]));
    return log;
  }

  #plan(log: readonly Manifest[], unavailable: ReadonlySet<Hex>): Route<ManifestLink> | null {
    const { targetId, history } = log.at(-1)!;
    return cheapestRoute(
      log.map(linkOf),
      this.#state.places,
      place(targetId, history.gives.tag),
      unavailable,
    );
  }

  /** Fetches and applies a plan. Gives the link that failed, or null. */
  async #follow(
    route: Route<ManifestLink>,
    applied: Manifest[],
    signal: AbortSignal | undefined,
  ): Promise<{ hash: Hex; code: string } | null> {
    const { reader, prefetch = PREFETCH, onStep } = this.#options;
    const { links } = route;
    const blobs = new Prefetch(reader, links, prefetch, signal);
    let bytes = 0;
    try {
      for (const [index, { manifest, hash }] of links.entries()) {
        try {
          this.#state.apply(manifest, await blobs.next(), signal);
        } catch (error) {
          if (error instanceof GrailError && LINK_FAILURES.has(error.code)) return { hash, code: error.code };
          throw error;
        }
        applied.push(manifest);
        bytes += manifest.blob.bytes;
        const { kind } = manifest;
        await onStep?.(this.held!, { kind, links: [index + 1, links.length], bytes: [bytes, route.bytes] });
      }
      return null;
    } finally {
      blobs.close();
    }
  }
}

function broken(last: Manifest, held: ReceivedState | null, avoided: ReadonlyMap<Hex, string>): GrailError {
  const failures = [...avoided].slice(0, 16).map(([hash, code]) => ({ hash, code }));
  return new GrailError(
    'PATCH_CHAIN_BROKEN',
    'no sequence of patches and anchors leads to what was published last: ask another relay, or the publisher for an anchor',
    { step: last.step, held: held?.step ?? null, failures },
  );
}
