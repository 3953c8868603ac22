import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/**
 * Starts a module of this folder as a child process that speaks structured clones (bigints, typed arrays). ffjavascript
 * crashes in worker_threads, so workers are processes.
 * @param name the module's file name without its extension; sources and build output differ in it
 */
export function forkModule(name: string): ChildProcess {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return fork(fileURLToPath(new URL(`./${name}.${extension}`, import.meta.url)), [], {
    serialization: 'advanced',
    // Not the parent's flags: a test runner's loader or an inspector's port is not for the child.
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
}
