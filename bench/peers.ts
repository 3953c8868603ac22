import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** A Python process that answers each line of JSON with one: what a benchmark is held against. */
export class Peer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterableIterator<string>;

  /** @param script a URL of the Python file */
  constructor(python: string, script: URL) {
    this.#child = spawn(python, [script.pathname], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  async ask(question: object): Promise<{ readonly [key: string]: unknown }> {
    this.#child.stdin!.write(`${JSON.stringify(question)}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the Python process ended; see above');
    return JSON.parse(value);
  }

  end(): void {
    this.#child.stdin!.end();
  }
}

/** The middle of an odd number of values. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
