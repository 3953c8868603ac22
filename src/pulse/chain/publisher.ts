import { type Hex, toHex } from '../../protocol/bytes.ts';
import { GrailError } from '../../protocol/errors.ts';
import { sameSpecs } from '../checks.ts';
import type { HistoryHead, MemoryMarks } from '../history.ts';
import { stateId } from '../state-id.ts';
import type { TensorSource } from '../tensor.ts';
import {
  anchorDue,
  type Cadence,
  type CadenceOptions,
  cadenceSchema,
  mergedDistances,
  mergedPays,
} from './cadence.ts';
import { anchorDraft, type Committed, type Draft, mergedDraft, patchDraft } from './draft.ts';
import { MemoryKeeper, type StateKeeper } from './keeper.ts';
import { verifyLog } from './log.ts';
import {
  MANIFEST_FORMAT,
  type Manifest,
  type ManifestSigner,
  manifestDigest,
  signManifest,
} from './manifest.ts';
import { type HeldState, PublisherState } from './publisher-state.ts';
import { Doomed, retentionCut } from './retention.ts';
import { Serial } from './serial.ts';
import type { PulseStore } from './store.ts';

export interface PublisherOptions {
  readonly store: PulseStore;
  readonly signer: ManifestSigner;
  /** Name of the run. */
  readonly chain: string;
  readonly cadence?: CadenceOptions | undefined;
  /** How committed states are kept; by default as copies in memory. */
  readonly keeper?: StateKeeper | undefined;
  /** What was published last, to go on from it; with its marks and head, the history goes on too. */
  readonly held?: HeldState | undefined;
}

export interface PublishOptions {
  /** An anchor, whether one is due or not. */
  readonly anchor?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What one call published. `failures` are of what can wait for the next call: the step itself is published. */
export interface Published {
  readonly manifests: readonly Manifest[];
  readonly failures: readonly { readonly part: Part; readonly error: unknown }[];
}
type Part = 'anchor' | 'merged' | 'retention';

/**
 * Publishes the states of one run as a signed log of patches, merged patches and anchors. What the next patch starts from
 * moves only when a manifest is durably in the log: whatever fails before leaves everything as it was.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #cadence: Cadence;
  readonly #keeper: StateKeeper;
  readonly #state: PublisherState;
  readonly #serial = new Serial();
  readonly #doomed = new Doomed();
  #log: Manifest[] = [];
  /** The store failed while it was appending: only its log tells whether it did. */
  #uncertain: { readonly manifest: Manifest; readonly draft: Draft } | null = null;

  /**
   * Goes on from what the store holds. Without the state that was published last, the first publication is an anchor.
   * @throws GrailError MANIFEST_INVALID or MANIFEST_OUT_OF_ORDER when the log is not this publisher's
   */
  static async open(options: PublisherOptions): Promise<Publisher> {
    const publisher = new Publisher(options);
    await publisher.#load();
    return publisher;
  }

  private constructor(options: PublisherOptions) {
    this.#options = options;
    this.#cadence = cadenceSchema.parse(options.cadence ?? {});
    this.#keeper = options.keeper ?? new MemoryKeeper();
    this.#state = new PublisherState(this.#keeper, this.#cadence.heldResets);
  }

  /** The state that the next patch starts from. A restart wants it back. Marks change with the next publication. */
  get held(): {
    state: TensorSource;
    id: Hex;
    step: number;
    marks: MemoryMarks | null;
    head: HistoryHead;
  } | null {
    const { base, history } = this.#state;
    if (base === null || history === null) return null;
    return { state: base.state, id: base.id, step: base.step, marks: history.marks, head: history.head };
  }

  /** The log's last manifest. */
  get last(): Manifest | null {
    return this.#log.at(-1) ?? null;
  }

  /**
   * Publishes the state of a step. The target is read before anything is awaited, unless another publication is under way.
   * The step and state that were published last are published again by doing nothing.
   * @throws GrailError BAD_REQUEST when the step is not after the last one; ALREADY_RUNNING when someone else writes the
   *   log; or what the store throws. Nothing has changed then, and the same or another target may be tried.
   */
  publish(step: number, target: TensorSource, options: PublishOptions = {}): Promise<Published> {
    return this.#serial.run(() => this.#publish(step, target, options));
  }

  async #publish(step: number, target: TensorSource, options: PublishOptions): Promise<Published> {
    const { signal } = options;
    signal?.throwIfAborted();
    const pending = this.#uncertain?.draft;
    if (
      pending !== undefined &&
      (await this.#reconcile(signal)) &&
      pending.state !== null &&
      pending.resets
    ) {
      this.#state.endEpoch();
    }
    const last = this.last;
    if (last !== null && step <= last.step) return publishedAlready(last, step, target);
    const draft = this.#draft(step, target, options);
    const manifests = [await this.#commit(draft, signal)];
    const failures: { part: Part; error: unknown }[] = [];
    const attempt = async (part: Part, run: () => Promise<void>) => {
      if (this.#uncertain !== null) return;
      try {
        signal?.throwIfAborted();
        await run();
      } catch (error) {
        failures.push({ part, error });
      }
    };
    const present = this.#state.base!;
    if (draft.kind === 'patch' && (options.anchor === true || anchorDue(this.#log, 0))) {
      await attempt('anchor', async () => {
        manifests.push(await this.#commit(anchorDraft(step, present.state, null, signal), signal));
      });
    }
    for (const from of draft.resets ? this.#mergedBases() : []) {
      await attempt('merged', async () => {
        const merged = mergedDraft(from, present, signal);
        if (mergedPays(this.#log, from.sequence, merged.blob.bytes))
          manifests.push(await this.#commit(merged, signal));
      });
    }
    if (draft.resets) this.#state.endEpoch();
    await attempt('retention', () => this.#forget());
    return { manifests, failures };
  }

  #draft(step: number, target: TensorSource, { anchor = false, signal }: PublishOptions): Draft {
    const { base, history, patchesSinceReset } = this.#state;
    const { resetEvery } = this.#cadence;
    const keep = (state: TensorSource) => this.#keeper.keep(state);
    if (base === null || !sameSpecs(base.state.specs, target.specs))
      return anchorDraft(step, target, keep, signal);
    return patchDraft({
      base,
      step,
      target,
      history: this.#cadence.history ? history!.stage(false) : undefined,
      resets: (bytes) => anchor || patchesSinceReset + 1 >= resetEvery || anchorDue(this.#log, bytes),
      keep,
      signal,
    });
  }

  /** Reset points 1, 2, 4, … before the present state, as far as they are held. */
  #mergedBases(): Committed[] {
    const { resetPoints, base } = this.#state;
    return mergedDistances(resetPoints.length)
      .map((distance) => resetPoints.at(-distance)!)
      .filter(({ state }) => sameSpecs(state.specs, base!.state.specs));
  }

  /** Blob, then manifest, then what the next patch starts from. */
  async #commit(draft: Draft, signal: AbortSignal | undefined): Promise<Manifest> {
    const { store } = this.#options;
    let manifest: Manifest;
    try {
      await store.putBlob(draft.blob.hash, draft.blob.chunks, signal);
      manifest = await this.#sign(draft);
      signal?.throwIfAborted();
    } catch (error) {
      this.#discard(draft);
      throw error;
    }
    this.#uncertain = { manifest, draft };
    try {
      await store.appendManifest(manifest, signal);
    } catch (error) {
      const appended = await this.#reconcile(undefined).catch(() => false);
      if (!appended) throw error;
      return manifest;
    }
    this.#advance(manifest, draft);
    return manifest;
  }

  #sign({ kind, step, base, blob, needs, gives }: Draft): Promise<Manifest> {
    const { signer, chain } = this.#options;
    const last = this.last;
    return signManifest(signer, {
      format: MANIFEST_FORMAT,
      chain,
      sequence: last === null ? 0 : last.sequence + 1,
      step,
      kind,
      baseStep: base?.step ?? null,
      baseId: base?.id ?? null,
      targetId: blob.targetId,
      history: { needs, gives },
      blob: { hash: blob.hash, bytes: blob.bytes },
      previous: last === null ? null : manifestDigest(last),
      publisher: signer.address,
    });
  }

  /** Reads whether the log has gone on, and follows. Gives whether it did so by the manifest in question. */
  async #reconcile(signal: AbortSignal | undefined): Promise<boolean> {
    const { manifest, draft } = this.#uncertain!;
    const after = this.last?.sequence ?? -1;
    const log = await this.#read(Math.max(after, 0), signal);
    const news = log.filter(({ sequence }) => sequence > after);
    if (news.length === 1 && manifestDigest(news[0]!) === manifestDigest(manifest)) {
      this.#advance(manifest, draft);
      return true;
    }
    this.#uncertain = null;
    this.#discard(draft);
    this.#log.push(...news);
    if (news.length > 0) this.#state.clear();
    return false;
  }

  #advance(manifest: Manifest, draft: Draft): void {
    this.#uncertain = null;
    this.#log.push(manifest);
    this.#state.advance(manifest, draft);
  }

  #discard({ state }: Draft): void {
    if (state !== null) this.#keeper.release(state);
  }

  async #load(): Promise<void> {
    const { store, held } = this.#options;
    this.#log = await this.#read(0, undefined);
    const last = this.last;
    if (held !== undefined && last !== null) this.#state.resume(held, last);
    // What a crash left, or what was waiting for its end: nobody can plan on it any more.
    const named = new Set(this.#log.map(({ blob }) => blob.hash));
    const due = (last?.sequence ?? 0) + this.#cadence.graceManifests;
    for (const hash of await store.listBlobs()) if (!named.has(hash)) this.#doomed.add(hash, due);
  }

  async #read(from: number, signal: AbortSignal | undefined): Promise<Manifest[]> {
    const { store, signer, chain } = this.#options;
    return verifyLog(await store.listManifests(from, signal), { publisher: signer.address, chain });
  }

  async #forget(): Promise<void> {
    const { store } = this.#options;
    const { sequence } = this.last!;
    const cut = retentionCut(this.#log);
    const dropped = this.#log.filter((manifest) => manifest.sequence < cut);
    if (dropped.length > 0) {
      await store.dropManifests(cut);
      this.#log = this.#log.filter((manifest) => manifest.sequence >= cut);
      for (const { blob } of dropped) this.#doomed.add(blob.hash, sequence + this.#cadence.graceManifests);
    }
    for (const hash of this.#doomed.ripe(sequence, this.#log)) {
      await store.deleteBlob(hash);
      this.#doomed.delete(hash);
    }
  }
}

function publishedAlready(last: Manifest, step: number, target: TensorSource): Published {
  if (step === last.step && toHex(stateId(target)) === last.targetId) return { manifests: [], failures: [] };
  throw new GrailError('BAD_REQUEST', `a step after ${last.step} is due: receivers never go back`, {
    got: step,
    expected: last.step + 1,
  });
}
