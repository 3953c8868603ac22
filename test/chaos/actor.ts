import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { DEMO_PASSWORD } from '../../src/cli/demo-network.ts';
import { GRAIL_MAIN } from '../helpers/grail-process.ts';

/** What kinds of processes a network consists of. */
export type Kind =
  | 'verifier'
  | 'sequencer'
  | 'gateway'
  | 'checker'
  | 'trainer'
  | 'miner'
  | 'postgres'
  | 'nats';

/** Something that can be killed and started again. */
export interface Actor {
  readonly name: string;
  readonly kind: Kind;
  readonly running: boolean;
  /** What it is in at the moment, for the table: of a sequencer whether it holds the lease. */
  readonly part: string;
  launch(): Promise<void>;
  kill(): Promise<void>;
}

/** What is heard of a process. */
export interface Ears {
  readonly onOut?: (line: string) => void;
  readonly onErr?: (line: string) => void;
  /** Hears of an end that nobody asked for, and the last lines before it. */
  readonly onEnded: (reason: string, last: readonly string[]) => void;
}

export interface GrailActorOptions extends Ears {
  readonly name: string;
  readonly kind: Kind;
  readonly args: readonly string[];
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
  /** A program and its arguments that run the process, such as in another name space of mounts. */
  readonly wrapper?: readonly string[];
}

/** Lines of stderr that are kept to tell why a process ended. */
const LAST_LINES = 12;

/** A `grail` process that is started again and again. It ends with this process, however that ends. */
export class GrailActor implements Actor {
  readonly name: string;
  readonly kind: Kind;
  readonly #options: GrailActorOptions;
  #child: ChildProcess | null = null;
  #ended: Promise<void> = Promise.resolve();
  #asked = false;

  constructor(options: GrailActorOptions) {
    this.#options = options;
    this.name = options.name;
    this.kind = options.kind;
    mkdirSync(dirname(options.logFile), { recursive: true });
  }

  get running(): boolean {
    return this.#child !== null;
  }

  get part(): string {
    return this.kind;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  async launch(): Promise<void> {
    if (this.#child !== null) return;
    const { args, env, wrapper = [], logFile, onOut, onErr, onEnded } = this.#options;
    const [command, ...rest] = [...wrapper, process.execPath, GRAIL_MAIN, ...args];
    const { CI: _unset, ...own } = process.env;
    const child = spawn(command!, rest, {
      // The pipe to stdin stays open as long as this process lives; Ctrl-C in the terminal is for this process alone.
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      env: { ...own, GRAIL_PASSWORD: DEMO_PASSWORD, ...env, GRAIL_PARENT_PIPE: '1' },
    });
    this.#child = child;
    this.#asked = false;
    const last: string[] = [];
    child.stdin!.on('error', () => {});
    createInterface({ input: child.stdout! }).on('line', (line) => onOut?.(line));
    createInterface({ input: child.stderr! }).on('line', (line) => {
      appendFileSync(logFile, `${line}\n`);
      last.push(line);
      if (last.length > LAST_LINES) last.shift();
      onErr?.(line);
    });
    this.#ended = new Promise((resolve) => {
      child.once('error', () => resolve());
      child.once('close', (code, signal) => {
        this.#child = null;
        if (!this.#asked) onEnded(signal === null ? `exit code ${code}` : `signal ${signal}`, last);
        resolve();
      });
    });
  }

  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** Ends it with a signal, and waits. */
  async end(signal: NodeJS.Signals): Promise<void> {
    this.#asked = true;
    this.#child?.kill(signal);
    await this.#ended;
  }

  /** Sends a signal that does not end it. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }
}
