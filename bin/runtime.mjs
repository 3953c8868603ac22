/**
 * What the launchers share: plain JavaScript that runs on Node 20, so that a machine with an older Node gets a working
 * command or a sentence. A checkout runs its TypeScript on the runtime pinned in package.json; an installed package runs
 * dist/ on the Node that npm runs on.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The first Node that strips types and has node:sqlite without a flag. */
const OLDEST = [22, 18];

const windows = process.platform === 'win32';

/** Whether a Node of this version, as `process.versions.node` says it, can run GRAIL. */
export function supported(version) {
  const [major, minor] = version.split('.').map(Number);
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
}

/** Ends the process with a coded sentence on stderr. */
export function fail(code, message) {
  process.stderr.write(`${code}: ${message}\n`);
  process.exit(1);
}

/** Whether this is a checkout (it has its sources) and not an installed package. */
export function isCheckout() {
  return existsSync(join(root, 'src', 'cli', 'main.ts'));
}

/** Whether node_modules is missing or older than package-lock.json. */
function needsInstall() {
  const marker = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(marker)) return true;
  return statSync(join(root, 'package-lock.json')).mtimeMs > statSync(marker).mtimeMs;
}

/** Runs `npm ci` in the checkout when it is needed; everything that it says goes to stderr. */
export function ensureInstalled() {
  if (!needsInstall()) return;
  process.stderr.write('Installing dependencies (npm ci), once …\n');
  const npm = process.env.npm_execpath;
  const [command, args] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  const { NODE_ENV: _omitted, ...env } = process.env;
  const { status, error } = spawnSync(command, [...args, 'ci', '--include=dev', '--include=optional'], {
    cwd: root,
    // stdout of a command is its result: npm's goes to stderr.
    stdio: ['ignore', 2, 2],
    env,
    shell: windows && command === 'npm',
  });
  if (error !== undefined)
    fail('CHILD_FAILED', `npm cannot be started (${error.message}); install Node with npm`);
  if (status !== 0) fail('CHILD_FAILED', 'npm ci failed, see above; repair that and run the command again');
}

/** The runtime for a checkout: the pinned Node, else this one when it is new enough. */
export function nodePath() {
  const pinned = join(root, 'node_modules', 'node', 'bin', windows ? 'node.exe' : 'node');
  if (existsSync(pinned)) return pinned;
  if (supported(process.versions.node)) return process.execPath;
  return unsupported(
    'the pinned runtime is missing (was npm told to ignore scripts?): run `npm rebuild node`, or',
  );
}

/** Ends the process: this Node is too old. */
export function unsupported(hint = '') {
  return fail(
    'RUNTIME_UNSUPPORTED',
    `GRAIL needs Node ${OLDEST.join('.')} or newer, this is ${process.versions.node}; ${hint} install Node 24, or run it with \`npx -p node@24 -p grail-network grail\``.replace(
      / {2,}/g,
      ' ',
    ),
  );
}

/** Flags that keep Node 22 from warning about what GRAIL builds on. */
export const NODE_FLAGS = ['--disable-warning=ExperimentalWarning'];

/**
 * Runs a program in this process's place: same terminal, signals passed on, same exit code. Never returns.
 * @param {string} command
 * @param {readonly string[]} args
 */
export function become(command, args, options = {}) {
  const child = spawn(command, args, { stdio: 'inherit', ...options });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => child.kill(signal));
  }
  child.on('error', (error) => fail('CHILD_FAILED', `${command} cannot be started: ${error.message}`));
  child.on('exit', (code, signal) => process.exit(signal === null ? code : 128 + constants.signals[signal]));
}

/** Runs a program to its end and gives its exit code; `stdio` as in spawn. */
export function runTo(command, args, options = {}) {
  const { status, signal, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error !== undefined) fail('CHILD_FAILED', `${command} cannot be started: ${error.message}`);
  return signal === null ? status : 128 + constants.signals[signal];
}

/** The path of a package's executable in node_modules, as its package.json names it. */
export function binOf(name, executable = name) {
  const folder = join(root, 'node_modules', name);
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return join(folder, typeof bin === 'string' ? bin : bin[executable]);
}
