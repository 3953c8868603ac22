import { CODES } from '../src/protocol/codes.ts';
import { GrailError } from '../src/protocol/errors.ts';

/** What a check found, in words that a stranger may read. */
export interface Check {
  readonly ok: boolean;
  readonly detail: string;
}

export interface CheckResult extends Check {
  readonly check: string;
}

export interface Readiness {
  readonly ready: boolean;
  readonly checks: readonly CheckResult[];
}

/** Characters of a detail. */
const DETAIL_CHARACTERS = 200;

/**
 * Whether a process can do its work: at all (/healthz), and now (/readyz). Checks tell what is known already and wait for
 * nothing, so that they answer when everything else stands still.
 */
export class HealthChecks {
  readonly #checks = new Map<string, () => Check>();
  #fatal: Error | null = null;

  /** Adds a check that must pass for the process to be ready. */
  register(name: string, check: () => Check): void {
    this.#checks.set(name, check);
  }

  /** The process cannot go on, and must be started again. The first failure is kept. */
  failed(error: Error): void {
    this.#fatal ??= error;
  }

  /** Why the process cannot go on, in its code’s own words; null while it can. */
  fatal(): string | null {
    if (this.#fatal === null) return null;
    const code = this.#fatal instanceof GrailError ? this.#fatal.code : 'INTERNAL';
    return `${code}: ${CODES[code].doc}`;
  }

  readiness(): Readiness {
    const fatal = this.fatal();
    const process = { check: 'process', ok: fatal === null, detail: fatal ?? 'running' };
    const checks = [process, ...[...this.#checks].map(([check, run]) => ({ check, ...told(run) }))];
    return { ready: checks.every(({ ok }) => ok), checks };
  }
}

function told(run: () => Check): Check {
  let found: Check;
  try {
    found = run();
  } catch {
    found = { ok: false, detail: 'the check itself failed' };
  }
  return { ok: found.ok, detail: found.detail.slice(0, DETAIL_CHARACTERS) };
}

/** That the bus works. Its own words may name machines, and are for the log. */
export function busCheck(bus: { readonly trouble: () => string | null }): Check {
  return bus.trouble() === null
    ? { ok: true, detail: 'reachable' }
    : { ok: false, detail: 'away: messages and jobs wait until it is back' };
}

/** That this process is the writer. */
export function leaseCheck(held: boolean): Check {
  return held
    ? { ok: true, detail: 'held' }
    : { ok: false, detail: 'standby: another process holds the lease' };
}

/** That a queue has room. */
export function roomCheck(depth: number, limit: number): Check {
  return { ok: depth < limit, detail: `${depth} of ${limit}` };
}
