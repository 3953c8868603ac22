import { endWithParent } from './children.ts';
import type { CommandIo } from './command.ts';

/**
 * Runs something as this process: Ctrl-C or SIGTERM asks it for a clean stop, a second one forces it. A terminal sends
 * Ctrl-C to the whole process group and launchers pass it on, so one keystroke may arrive several times: echoes are not
 * counted. Never returns: the process exits with the task's code, 130 after Ctrl-C, 143 after SIGTERM.
 */
const ECHO_MS = 500;
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

export async function runProcess(task: (io: CommandIo) => Promise<number>): Promise<never> {
  endWithParent(process.env);
  const controller = new AbortController();
  let stopped: { atMs: number; code: number } | undefined;
  const stop = (signal: keyof typeof EXIT_CODES) => {
    const atMs = performance.now();
    if (stopped === undefined) {
      stopped = { atMs, code: EXIT_CODES[signal] };
      controller.abort();
    } else if (atMs - stopped.atMs > ECHO_MS) {
      process.exit(stopped.code);
    }
  };
  process.on('SIGINT', () => stop('SIGINT'));
  process.on('SIGTERM', () => stop('SIGTERM'));
  // The reader of a pipe may leave: `grail … | head` is no failure of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  const code = await task({
    signal: controller.signal,
    out: (line) => void process.stdout.write(`${line}\n`),
    err: (line) => void process.stderr.write(`${line}\n`),
    env: process.env,
  });
  // Backends may leave handles open that would keep the process alive: flush, then leave.
  await new Promise((flushed) => process.stdout.write('', flushed));
  await new Promise((flushed) => process.stderr.write('', flushed));
  return process.exit(stopped?.code ?? code);
}
