import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { GRAIL_MAIN } from './grail-process.ts';

export const HIDE = '\u001b[?25l';
export const SHOW = '\u001b[?25h';

/** Whether util-linux's `script` is here, which runs a command in a terminal of its own. */
export const canTerminal = /util-linux/.test(
  spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout ?? '',
);

/** What is typed, when a text has appeared, or so many milliseconds after it. */
export type Typed = readonly [text: string, keys: string, afterMs?: number];

/**
 * Runs `grail …` in a terminal; gives what it showed, the exit code, and whether the terminal is back in its usual
 * mode.
 */
export async function inTerminal(
  args: readonly string[],
  typed: readonly Typed[],
  options: { readonly columns?: number; readonly env?: Readonly<Record<string, string>> } = {},
) {
  const { columns = 100, env } = options;
  const command = `stty rows 40 cols ${columns}; trap : INT; '${process.execPath}' '${GRAIL_MAIN}' ${args.join(' ')}; echo "[code $?]"; stty -a`;
  const child = spawn('script', ['-qfc', command, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env, TERM: 'xterm' },
  });
  const closed = once(child, 'close');
  let shown = '';
  const rest = [...typed];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    shown += chunk;
    const next = rest[0];
    if (next === undefined || !shown.includes(next[0])) return;
    rest.shift();
    setTimeout(() => child.stdin.write(next[1]), next[2] ?? 0);
  });
  await closed;
  const [, code] = /\[code (\d+)\]/.exec(shown)!;
  return { shown, code: Number(code), usual: / icanon/.test(shown) && / echo /.test(shown) };
}
