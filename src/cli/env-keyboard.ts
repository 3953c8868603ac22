import { setTimeout as sleep } from 'node:timers/promises';
import type { Environment } from '../environments/environment.ts';
import type { Player } from './env-episode.ts';
import { wrap } from './text.ts';

/** Words for doing nothing. */
const IDLE = ['nothing', 'noop', 'none', 'rest', 'coast', 'stay', 'wait'];

/** Keys besides those of the numbers, and the names of the actions that they take. */
const NAMED: readonly (readonly [key: string, names: readonly string[]])[] = [
  ['←', ['left', 'pull', 'false']],
  ['→', ['right', 'push', 'true']],
  ['↑', ['up']],
  ['↓', ['down']],
  ['space', ['fire', ...IDLE]],
];

/** Keys of actions 0, 1, …: q, which quits, comes after the last. */
const NUMBERED = '0123456789abcdefghijklmnop';

/** Which key takes which action of an environment. */
export class KeyMap {
  /** The action that does nothing; null where there is none, so that the game waits for a key. */
  readonly idle: number | null;
  /** Lines that say which keys there are, at most 60 columns wide. */
  readonly legend: readonly string[];
  readonly #actions = new Map<string, number>();

  constructor({ actionNames }: Pick<Environment, 'actionNames'>) {
    const named = (name: string) => actionNames.indexOf(name);
    this.idle = actionNames.findIndex((name) => IDLE.includes(name));
    if (this.idle === -1) this.idle = null;
    for (const [key, names] of NAMED) {
      const name = names.find((candidate) => named(candidate) >= 0);
      if (name !== undefined) this.#actions.set(key, named(name));
    }
    const entries = actionNames.map((name, action) => {
      const keys = [...this.#actions].filter(([, taken]) => taken === action).map(([key]) => key);
      const number = NUMBERED[action];
      if (number !== undefined) keys.push(number);
      // Kept together when lines break.
      return `${keys.join(' or ')} ${name}`.replaceAll(' ', '\u00a0');
    });
    for (const [action, key] of [...NUMBERED.slice(0, actionNames.length)].entries()) {
      this.#actions.set(key, action);
    }
    this.legend = wrap([...entries, 'q\u00a0quits'].join('  '), 60).map((line) =>
      line.replaceAll('\u00a0', ' ').trim(),
    );
  }

  /** The action of a key, or null. */
  action(key: string): number | null {
    return this.#actions.get(key) ?? null;
  }
}

const ARROWS: Readonly<Record<string, string>> = { A: '↑', B: '↓', C: '→', D: '←' };

/** The keys in what a terminal sends: arrows, `space`, `quit`, `interrupt`, and characters as they are. */
export function parseKeys(chunk: string): string[] {
  const keys: string[] = [];
  for (let at = 0; at < chunk.length; at++) {
    const character = chunk[at]!;
    const sequence = chunk.startsWith('\u001b[', at) || chunk.startsWith('\u001bO', at);
    const arrow = sequence ? ARROWS[chunk[at + 2] ?? ''] : undefined;
    if (arrow !== undefined) {
      keys.push(arrow);
      at += 2;
    } else if (character === '\u0003') keys.push('interrupt');
    else if (character === 'q' || character === 'Q' || character === '\u0004') keys.push('quit');
    else keys.push(character === ' ' ? 'space' : character);
  }
  return keys;
}

/** Keys as they are pressed. */
export interface Keys {
  /** Aborted by Ctrl-C, which a terminal that sends single keys gives as one. */
  readonly interrupted: AbortSignal;
  /** Takes the keys pressed since the last call, oldest first; `quit` at the end when no more can come. */
  take(): string[];
  /** Puts back what was taken too early. */
  putBack(keys: readonly string[]): void;
  /** Resolves when there are keys, or with the signal. */
  pressed(signal: AbortSignal): Promise<void>;
  /** Gives the terminal back. May be called again. */
  close(): void;
}

/** Single keys from this process's terminal, or null when stdin is none. The terminal is as it was at the exit, too. */
export function terminalKeys(): Keys | null {
  const { stdin } = process;
  if (!stdin.isTTY) return null;
  let waiting: string[] = [];
  let heard = () => {};
  const interrupt = new AbortController();
  const push = (keys: readonly string[]) => {
    waiting.push(...keys);
    if (keys.includes('interrupt')) interrupt.abort();
    heard();
  };
  const onData = (chunk: string) => push(parseKeys(chunk));
  const onEnd = () => push(['quit']);
  let open = true;
  const close = () => {
    if (!open) return;
    open = false;
    stdin.off('data', onData).off('end', onEnd);
    process.off('exit', close);
    stdin.setRawMode(false);
    stdin.pause();
  };
  stdin.setEncoding('utf8');
  stdin.setRawMode(true);
  stdin.on('data', onData).on('end', onEnd);
  stdin.resume();
  process.on('exit', close);
  return {
    interrupted: interrupt.signal,
    take() {
      const keys = waiting;
      waiting = [];
      return keys;
    },
    putBack(keys) {
      waiting.unshift(...keys);
    },
    pressed(signal) {
      if (waiting.length > 0 || signal.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        const done = () => {
          heard = () => {};
          signal.removeEventListener('abort', done);
          resolve();
        };
        heard = done;
        signal.addEventListener('abort', done);
      });
    },
    close,
  };
}

/**
 * A person at the keyboard. Where an action does nothing time runs, from the first key on: each step takes the newest
 * key since the last one. Elsewhere each key is a step.
 */
export function keyboardPlayer(map: KeyMap, keys: Keys, periodMs: number, signal: AbortSignal): Player {
  const stop = AbortSignal.any([signal, keys.interrupted]);
  let running = false;
  return async () => {
    for (;;) {
      if (running) await sleep(periodMs, undefined, { signal: stop }).catch(() => {});
      else await keys.pressed(stop);
      if (stop.aborted) return 'interrupted';
      const pressed = keys.take();
      if (running) {
        if (pressed.includes('quit')) return 'quit';
        return pressed.map((key) => map.action(key)).findLast((action) => action !== null) ?? map.idle!;
      }
      for (const [i, key] of pressed.entries()) {
        const action = map.action(key);
        if (key !== 'quit' && action === null) continue;
        keys.putBack(pressed.slice(i + 1));
        if (action === null) return 'quit';
        running = map.idle !== null;
        return action;
      }
    }
  };
}
