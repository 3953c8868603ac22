import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { GrailError } from '../../src/protocol/errors.ts';
import type { Program } from './programs.ts';

/** Lines that are kept of a server which has not said yet that it is ready. */
const KEPT_LINES = 200;

/** A server that was started; it ends with `kill`, or with this process. */
export interface ServerProcess {
  readonly pid: number;
  /** What the line that said it is ready held: the match of `ready`. */
  readonly ready: RegExpExecArray;
  /** Resolves when it has ended, with the reason. */
  readonly ended: Promise<string>;
  /** Ends it at once, or as the signal says, and waits until it has ended. */
  kill(signal?: NodeJS.Signals): Promise<void>;
}

/**
 * Starts a server and waits until a line of its output matches `ready`.
 * @throws GrailError CHILD_FAILED with what it said, when it ends before
 */
export async function startServer(
  command: string,
  args: readonly string[],
  ready: RegExp,
  options: Pick<SpawnOptions, 'uid' | 'gid' | 'cwd' | 'env'> = {},
): Promise<ServerProcess> {
  const child: ChildProcess = spawn(command, args, {
    ...options,
    stdio: ['ignore', 'pipe', 'pipe'],
    // Ctrl-C in the terminal is for whoever started it, who stops what uses it first.
    detached: true,
  });
  const end = () => void child.kill('SIGKILL');
  process.on('exit', end);
  const ended = new Promise<string>((resolve) =>
    child.on('close', (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`)),
  );
  void ended.then(() => process.off('exit', end));
  const match = await new Promise<RegExpExecArray>((resolve, reject) => {
    const said: string[] = [];
    for (const stream of [child.stdout!, child.stderr!]) {
      createInterface({ input: stream }).on('line', (line) => {
        if (said.length < KEPT_LINES) said.push(line);
        const found = ready.exec(line);
        if (found !== null) resolve(found);
      });
    }
    child.on('error', reject);
    void ended.then((reason) =>
      reject(new GrailError('CHILD_FAILED', `${command} ended (${reason}): ${said.join('\n')}`)),
    );
  });
  return {
    pid: child.pid!,
    ready: match,
    ended,
    async kill(signal = 'SIGKILL') {
      child.kill(signal);
      await ended;
    },
  };
}

/** The path of a program. @throws GrailError CHILD_FAILED that says how to install it */
export function pathOf({ name, debianPackage, find }: Program): string {
  const path = find();
  if (path !== null) return path;
  throw new GrailError(
    'CHILD_FAILED',
    `there is no ${name} on this machine: install it (apt install ${debianPackage})`,
  );
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
