import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/**
 * The module `name` in the folder of another one: sources and build output differ in their file extension.
 * @param parent `import.meta.url` of a module beside it
 */
export function siblingModule(parent: string, name: string): URL {
  return new URL(`./${name}.${parent.endsWith('.ts') ? 'ts' : 'js'}`, parent);
}

/**
 * Starts a module as a child process that speaks structured clones (bigints, typed arrays).
 * @param parent `import.meta.url` of a module beside it
 */
export function forkModule(parent: string, name: string, args: readonly string[] = []): ChildProcess {
  return fork(fileURLToPath(siblingModule(parent, name)), args, {
    serialization: 'advanced',
    // Not the parent's flags: a test runner's loader or an inspector's port is not for the child.
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
}
