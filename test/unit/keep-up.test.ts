import { expect, test, vi } from 'vitest';
import { keepUp } from '../../deploy/keep-up.ts';

/** Something that ends when a test says so. */
class Ending {
  readonly name = 'it';
  starts = 0;
  /** What the next starts throw. */
  readonly failures: Error[] = [];
  #end = Promise.withResolvers<string>();

  readonly ended = () => this.#end.promise;

  end(reason: string): void {
    this.#end.resolve(reason);
  }

  readonly start = async () => {
    this.starts += 1;
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    this.#end = Promise.withResolvers();
  };
}

test('what ends is started again, later each time, until it is to stop', async () => {
  const abort = new AbortController();
  const lines: string[] = [];
  const it = new Ending();
  const kept = keepUp(it, { signal: abort.signal, log: (line) => lines.push(line) });
  for (const [i, reason] of ['exit code 1', 'exit code 2'].entries()) {
    it.end(reason);
    await vi.waitFor(() => expect(it.starts).toBe(i + 1), { timeout: 30_000 });
  }
  expect(lines).toEqual([
    'it ended (exit code 1): it is started again in 0.5 s',
    'it ended (exit code 2): it is started again in 1 s',
  ]);
  expect(it.starts).toBe(2);
  abort.abort();
  await kept;
  it.end('exit code 0');
  expect(it.starts).toBe(2);
});

test('what cannot be started is tried again', async () => {
  const abort = new AbortController();
  const lines: string[] = [];
  const it = new Ending();
  it.failures.push(new Error('the port is taken'));
  const kept = keepUp(it, { signal: abort.signal, log: (line) => lines.push(line) });
  it.end('signal SIGKILL');
  await vi.waitFor(() => expect(it.starts).toBe(2), { timeout: 30_000 });
  expect(lines).toEqual([
    'it ended (signal SIGKILL): it is started again in 0.5 s',
    'it ended (the port is taken): it is started again in 1 s',
  ]);
  abort.abort();
  await kept;
});
