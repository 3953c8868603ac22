import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** A Python script that answers one JSON object a line with another. */
export class Peer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterableIterator<string>;
  #failure: Error | null = null;

  constructor(python: string, script: string) {
    this.#child = spawn(python, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
    const failed = (error: Error) => {
      this.#failure = error;
    };
    this.#child.on('error', failed);
    // A script that ends early is told of by the answer that does not come.
    this.#child.stdin!.on('error', failed);
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  /** @throws Error when the script cannot be started or has ended */
  async ask(question: object): Promise<{ readonly [key: string]: unknown }> {
    this.#child.stdin!.write(`${JSON.stringify(question)}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(this.#failure?.message ?? 'the Python process ended');
    return JSON.parse(value);
  }

  end(): void {
    this.#child.stdin!.end();
  }
}
