import type { Ledger } from '../../src/ledger/log.ts';
import type { LedgerMirror } from '../../src/ledger/mirror.ts';
import { codedError, type GrailError } from '../../src/protocol/errors.ts';
import type { NetworkState } from '../../src/replica/state.ts';
import type { Bus } from '../bus/bus.ts';
import type { Log } from '../log.ts';
import { ENTRIES_SUBJECT } from './subjects.ts';

/** How often the database is asked when the bus says nothing. */
const LOOK_MS = 1_000;

export interface FollowerParts {
  readonly mirror: LedgerMirror;
  readonly state: NetworkState;
  readonly bus: Bus;
  readonly log: Log;
  /** Hears of every entry once it is applied. */
  readonly onEntry: (index: number) => void;
  /** Hears what ends following: a ledger that breaks a rule. */
  readonly onFatal: (error: Error) => void;
}

/** Keeps a process's copy of the ledger and the state that follows from it up to date with the database. */
export class LedgerFollower {
  readonly #parts: FollowerParts;
  #looking: Promise<void> | null = null;
  #again = false;
  #timer: NodeJS.Timeout | null = null;
  #unsubscribe: (() => void) | null = null;
  #trouble: GrailError | null = null;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
    applyAll(parts.mirror.ledger, parts.state, () => {});
  }

  /** Why the database cannot be followed now, or null. */
  get trouble(): GrailError | null {
    return this.#trouble;
  }

  start(): void {
    this.#unsubscribe = this.#parts.bus.subscribe(ENTRIES_SUBJECT, () => void this.look());
    this.#timer = setInterval(() => void this.look(), LOOK_MS);
  }

  /** Takes in what is new; callers at the same time share a look that began after they asked. */
  async look(): Promise<void> {
    if (this.#looking !== null) {
      this.#again = true;
      return this.#looking;
    }
    this.#looking = (async () => {
      do {
        this.#again = false;
        await this.#take();
      } while (this.#again);
    })().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async stop(): Promise<void> {
    this.#unsubscribe?.();
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#looking;
  }

  async #take(): Promise<void> {
    const { mirror, state, log, onEntry, onFatal } = this.#parts;
    try {
      await mirror.catchUp();
      if (this.#trouble !== null) log.info('the database answers again', { entries: mirror.ledger.size });
      this.#trouble = null;
      applyAll(mirror.ledger, state, onEntry);
    } catch (error) {
      const coded = codedError(error);
      if (coded.code === 'STORAGE_UNAVAILABLE') {
        if (this.#trouble === null)
          log.error(`the database cannot be followed: ${coded.message}`, { code: coded.code });
        this.#trouble = coded;
      } else if (coded.code !== 'STOPPED') onFatal(coded);
    }
  }
}

function applyAll(ledger: Ledger, state: NetworkState, onEntry: (index: number) => void): void {
  for (const { index, entry } of ledger.range(state.size)) {
    state.apply(entry, { signatureChecked: true });
    onEntry(index);
  }
}
