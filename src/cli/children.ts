import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { GrailError } from '../protocol/errors.ts';
import { siblingModule } from '../storage/fork-module.ts';

/** Environment variable that tells a process to end when its stdin does: then its parent is gone. */
const PARENT_PIPE = 'GRAIL_PARENT_PIPE';

/**
 * Ends this process with the one that started it, if that was `startChild`: a parent that is killed cannot stop its
 * children, and a verifier that lived on would keep the network's folder locked.
 */
export function endWithParent(env: NodeJS.ProcessEnv): void {
  if (env[PARENT_PIPE] === undefined) return;
  // What this process starts has pipes of its own.
  delete env[PARENT_PIPE];
  process.stdin.on('end', () => process.exit(1)).on('error', () => process.exit(1));
  process.stdin.resume();
  (process.stdin as unknown as { unref?(): void }).unref?.();
}

/** How a child is started and heard. */
export interface ChildOptions {
  /** Its name in messages. */
  readonly name: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Everything that it writes to stderr goes here too. */
  readonly logFile: string;
  readonly onOut?: (line: string) => void;
  readonly onErr?: (line: string) => void;
}

/** Ends every child that still runs when this process does: one listener, however many they are. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Another `grail` process. */
export interface Child {
  readonly name: string;
  /** Resolves when it has ended, with the reason; never rejects. */
  readonly ended: Promise<string>;
  readonly pid: number;
  /** Asks it to stop, and kills it when it has not after `graceMs`. */
  stop(graceMs: number): Promise<void>;
  /** Ends it at once. */
  kill(): Promise<void>;
}

/** Starts `grail` with these arguments on the runtime of this process. */
export function startChild(options: ChildOptions): Child {
  const main = fileURLToPath(siblingModule(import.meta.url, 'main'));
  mkdirSync(dirname(options.logFile), { recursive: true });
  const child: ChildProcess = spawn(process.execPath, [...process.execArgv, main, ...options.args], {
    // The pipe to stdin stays open as long as this process lives, however it ends.
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env, [PARENT_PIPE]: '1' },
    // Ctrl-C in the terminal is for the parent, which stops its children in order.
    detached: true,
  });
  child.stdin!.on('error', () => {});
  const lines = (stream: NodeJS.ReadableStream, heard: (line: string) => void) =>
    createInterface({ input: stream }).on('line', heard);
  lines(child.stdout!, (line) => options.onOut?.(line));
  lines(child.stderr!, (line) => {
    appendFileSync(options.logFile, `${line}\n`);
    options.onErr?.(line);
  });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) =>
      resolve(signal === null ? `exit code ${code}` : `signal ${signal}`),
    );
  });
  const kill = () => child.kill('SIGKILL');
  running.add(child);
  void ended.then(() => running.delete(child));
  return {
    name: options.name,
    pid: child.pid ?? 0,
    ended,
    async kill() {
      kill();
      await ended;
    },
    async stop(graceMs) {
      child.kill('SIGTERM');
      const timer = setTimeout(kill, graceMs);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** A failure that says which child ended, and where its log is. */
export function childFailed(child: Child, reason: string, logFile: string): GrailError {
  return new GrailError('CHILD_FAILED', `${child.name} ended (${reason}): see ${logFile}`, {
    child: child.name,
    reason,
    log: logFile,
  });
}
