import { closeSync, fstatSync, openSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { equalBytes, toHex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import {
  elementCount,
  FRESH,
  FRESH_MARK,
  type HistoryHead,
  type Marks,
  type TensorSpec,
} from '../pulse/index.ts';
import { lockFile, type ProcessLock } from '../storage/lock.ts';
import { readFully } from '../storage/read-fully.ts';
import { requireFolder, StagedFile, syncFolder } from '../storage/staged-file.ts';
import {
  decodeRecord,
  encodeRecord,
  type HistoryRecord,
  MARKS_AT,
  markBytes,
  specsDigest,
} from './pulse-history-format.ts';
import type { Keep, Work } from './pulse-work.ts';

/** Where the next history waits until the output has its name: a crash between the two loses nothing. */
const nextOf = (path: string) => `${path}.next`;

/**
 * The history of a chain in a file: held by sender and receivers alike, and brought forward by every patch. The next one is
 * written beside it and takes its place with `commit`, after the output took its own.
 */
export class HistoryFile {
  readonly path: string;
  readonly specs: readonly TensorSpec[];
  readonly #digest: Uint8Array;
  readonly #offsets: number[] = [];
  /** crc32 of the next marks, as far as they are written. */
  readonly #sums = new Map<number, number>();
  readonly #lock: ProcessLock | null;
  #fresh = true;
  #descriptor: number | null = null;
  #record: HistoryRecord | null = null;
  #next: StagedFile | null = null;
  #buffer = new Uint8Array(0);

  /** The history of a task, kept until its end; null when none was given. */
  static given(
    path: string | null,
    specs: readonly TensorSpec[],
    baseId: () => Uint8Array,
    keep: Keep,
    options: { readOnly?: boolean } = {},
  ): HistoryFile | null {
    return path === null ? null : keep(new HistoryFile(path, specs, baseId, options));
  }

  /**
   * Opens a history; a missing file is a fresh one.
   * @param baseId of the state that the next patch starts from; asked only after a crash
   * @param options.readOnly marks that are written go nowhere
   * @throws GrailError NOT_FOUND, ALREADY_RUNNING
   */
  constructor(
    path: string,
    specs: readonly TensorSpec[],
    baseId: () => Uint8Array,
    { readOnly = false }: { readOnly?: boolean } = {},
  ) {
    this.path = path;
    this.specs = specs;
    this.#digest = specsDigest(specs);
    let offset = MARKS_AT;
    for (const spec of specs) {
      this.#offsets.push(offset);
      offset += elementCount(spec);
    }
    requireFolder(path);
    this.#lock = readOnly ? null : lockFile(`${path}.lock`, `the history ${path}`);
    try {
      if (!readOnly) this.#recover(baseId);
      this.#open();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Patches since it began; 0 when fresh. */
  get steps(): number {
    return this.#record?.head.steps ?? 0;
  }

  /**
   * What it knows, for one patch. Only one tensor's marks are in memory.
   * @param fresh as if it knew nothing
   * @throws GrailError PATCH_HISTORY_MISMATCH when it is about other tensors
   */
  begin(fresh = false): { head: HistoryHead; marks: Marks } {
    this.#fresh = fresh || this.steps === 0;
    if (!this.#fresh && !equalBytes(this.#record!.specsDigest, this.#digest)) {
      throw this.#mismatch('belongs to tensors of other names, types or shapes');
    }
    const marks: Marks = {
      read: (index) => this.#read(index),
      write: (index, bytes) => {
        if (this.#lock !== null) this.#write(index, bytes);
      },
    };
    return { head: this.#fresh ? FRESH : this.#record!.head, marks };
  }

  /** @throws GrailError PATCH_HISTORY_MISMATCH unless it began fresh or is at this state */
  check(baseId: Uint8Array): void {
    if (this.#fresh || equalBytes(this.#record!.stateId, baseId)) return;
    throw this.#mismatch('is ahead of the base, or behind it', {
      base: toHex(baseId),
      at: toHex(this.#record!.stateId),
      steps: this.steps,
    });
  }

  /** Writes the next history whole, under its temporary name. */
  stage(head: HistoryHead, stateId: Uint8Array): void {
    const fresh = head.steps === 0;
    for (const [index] of fresh ? [] : this.specs.entries()) {
      if (!this.#sums.has(index)) this.#write(index, this.#read(index));
    }
    const sums = fresh ? [] : this.specs.map((_, index) => this.#sums.get(index)!);
    const size = fresh ? 0 : markBytes(this.specs);
    const { front, back } = encodeRecord({ head, stateId, specsDigest: this.#digest, sums }, size);
    const next = this.#staged();
    next.write(back, MARKS_AT + size);
    next.write(front, 0);
    next.finish();
  }

  commit(): void {
    this.#next?.commit();
  }

  /** Removes what was not committed, and lets go of the file. */
  close(): void {
    this.#next?.close();
    if (this.#descriptor !== null) closeSync(this.#descriptor);
    this.#descriptor = null;
    this.#lock?.release();
  }

  #staged(): StagedFile {
    this.#next ??= new StagedFile(this.path, nextOf(this.path));
    return this.#next;
  }

  #write(index: number, marks: Uint8Array): void {
    this.#staged().write(marks, this.#offsets[index]!);
    this.#sums.set(index, crc32(marks));
  }

  #read(index: number): Uint8Array {
    const count = elementCount(this.specs[index]!);
    if (this.#buffer.length < count) this.#buffer = new Uint8Array(count);
    const marks = this.#buffer.subarray(0, count);
    if (this.#fresh) return marks.fill(FRESH_MARK);
    readFully(this.#descriptor!, marks, this.#offsets[index]!);
    if (crc32(marks) !== this.#record!.sums[index]) throw this.#mismatch('is damaged');
    return marks;
  }

  #open(): void {
    if (statSync(this.path, { throwIfNoEntry: false }) === undefined) return;
    this.#descriptor = openSync(this.path, 'r');
    this.#record = decodeRecord(this.#descriptor, fstatSync(this.#descriptor).size);
    if (this.#record === null) throw this.#mismatch('is damaged, or no history');
  }

  /** A next history that fits the base, beside one that does not, was left by a crash after the output had its name. */
  #recover(baseId: () => Uint8Array): void {
    const next = nextOf(this.path);
    if (statSync(next, { throwIfNoEntry: false }) === undefined) return;
    const descriptor = openSync(next, 'r');
    const record = decodeRecord(descriptor, fstatSync(descriptor).size);
    closeSync(descriptor);
    if (record === null || !equalBytes(record.stateId, baseId())) return;
    renameSync(next, this.path);
    syncFolder(dirname(this.path));
  }

  #mismatch(what: string, details: Record<string, string | number> = {}): GrailError {
    return new GrailError(
      'PATCH_HISTORY_MISMATCH',
      `the history ${this.path} ${what}: on the sender's side delete it, and the next patch starts a new one that receivers ` +
        'follow by themselves; on a receiver’s ask for a patch that needs no history (grail pulse merge, or an anchor)',
      { history: this.path, ...details },
    );
  }
}

/** Gives an output its name, then the history that goes with it; the last moment to stop is before. */
export function commit(
  work: Work,
  output: { commit(): void },
  history: HistoryFile | null,
  next: { readonly head: HistoryHead; readonly targetId: Uint8Array },
): void {
  history?.stage(next.head, next.targetId);
  work.stop();
  output.commit();
  history?.commit();
}
