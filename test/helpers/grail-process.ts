import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DEMO_PASSWORD } from '../../src/cli/demo-network.ts';
import { packageRoot } from '../../src/storage/package-root.ts';

export const GRAIL_MAIN = join(packageRoot(), 'src', 'cli', 'main.ts');

/** Longest wait for something to happen in another process: a loaded machine is slow, not wrong. */
const PATIENCE_MS = 150_000;

const running = new Set<GrailProcess>();

interface GrailOptions {
  readonly node?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A `grail` process whose lines can be waited for. */
export class GrailProcess {
  readonly out: string[] = [];
  readonly err: string[] = [];
  readonly ended: Promise<{ code: number | null; signal: string | null }>;
  readonly #child: ChildProcess;
  readonly #name: string;
  #over = false;
  #heard: () => void = () => {};

  constructor(args: readonly string[], options: GrailOptions = {}) {
    this.#name = args[0]!;
    const { CI: _unset, ...env } = process.env;
    this.#child = spawn(options.node ?? process.execPath, [GRAIL_MAIN, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...env, GRAIL_PASSWORD: DEMO_PASSWORD, ...options.env },
    });
    running.add(this);
    const keep = (stream: NodeJS.ReadableStream, lines: string[]) =>
      createInterface({ input: stream }).on('line', (line) => {
        lines.push(line);
        this.#heard();
      });
    keep(this.#child.stdout!, this.out);
    keep(this.#child.stderr!, this.err);
    this.ended = once(this.#child, 'close').then(([code, signal]) => {
      this.#over = true;
      running.delete(this);
      this.#heard();
      return { code, signal };
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Everything on stderr, as one text. */
  get log(): string {
    return this.err.join('\n');
  }

  /** The events of a process that was started with --json. */
  get events(): Record<string, unknown>[] {
    return this.out.map((line) => JSON.parse(line));
  }

  /** Waits for a line on stderr or stdout, from line `from` of it on. Fails when the process ends without it. */
  async line(pattern: RegExp, from: { out?: number; err?: number } = {}): Promise<string> {
    const found = () =>
      [...this.err.slice(from.err ?? 0), ...this.out.slice(from.out ?? 0)].find((line) => pattern.test(line));
    await this.until(() => found() !== undefined, `no line ${pattern}`);
    return found()!;
  }

  /** Waits until a condition on what was heard holds. */
  async until(condition: () => boolean, what: string): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve, reject) => {
      const done = (error?: Error) => {
        clearTimeout(timer);
        this.#heard = () => {};
        if (error === undefined) resolve();
        else reject(error);
      };
      const fail = (why: string) =>
        done(new Error(`${this.#name}: ${what}: ${why}\n${this.log}\n${this.out}`));
      const timer = setTimeout(() => fail('it took too long'), PATIENCE_MS);
      this.#heard = () => {
        if (condition()) done();
        else if (this.#over) fail('the process ended');
      };
      this.#heard();
    });
  }

  /** Sends a signal and waits for the end. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<{ code: number | null; signal: string | null }> {
    this.#child.kill(signal);
    return this.ended;
  }
}

/** Kills what a test left running. */
export async function killAll(): Promise<void> {
  await Promise.all([...running].map((child) => child.stop('SIGKILL')));
}

/** Runs `grail` to its end. */
export async function grail(args: readonly string[], node?: string) {
  const child = new GrailProcess(args, node === undefined ? {} : { node });
  const { code, signal } = await child.ended;
  return { code, signal, out: child.out, err: child.log };
}
