import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../deploy/servers/process.ts';
import type { Devnet } from '../../verifier/devnet.ts';
import { NetworkDirectory } from '../../verifier/directory.ts';
import { type Actor, GrailActor } from './actor.ts';

/** What a side tells of its processes. */
export interface SideEars {
  readonly onLine: (name: string, line: string) => void;
  readonly onEnded: (name: string, reason: string, last: readonly string[]) => void;
}

/** The verifier of a network, whatever it consists of. */
export interface Side {
  readonly actors: readonly Actor[];
  /** Makes the network and starts everything. */
  start(devnet: Devnet): Promise<void>;
  /** Where miners find it, once it was started. */
  urls(): readonly string[];
  /** Ends its processes in order. */
  stop(): Promise<void>;
  /** Ends the servers that it stands on too: nothing can be copied out any more. */
  close(): Promise<void>;
  /** Copies the network as it is into a new folder that `grail audit` reads, with whatever a kill left beside it. */
  copyOut(folder: string): Promise<void>;
}

export interface SideOptions extends SideEars {
  readonly folder: string;
  readonly flags: readonly string[];
}

/** How a verifier of one process is run. */
export interface OneOptions extends SideOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Another place for its folder, and what runs programs that see it. */
  readonly disk?: { readonly inside: string; readonly wrapper: readonly string[] };
}

/** A verifier of one process, on SQLite and a folder. */
export class OneProcess implements Side {
  readonly #options: OneOptions;
  readonly #directory: string;
  #actor: GrailActor | null = null;
  #url = '';

  constructor(options: OneOptions) {
    this.#options = options;
    this.#directory = options.disk?.inside ?? join(options.folder, 'network');
  }

  get actors(): readonly Actor[] {
    return this.#actor === null ? [] : [this.#actor];
  }

  get verifier(): GrailActor {
    return this.#actor!;
  }

  async start(devnet: Devnet): Promise<void> {
    const { folder, flags, env, disk, onLine, onEnded } = this.#options;
    const made = join(folder, 'network');
    await new NetworkDirectory(made).create(devnet);
    if (disk !== undefined) this.#copy(`${made}/.`, this.#directory);
    const port = await freePort();
    this.#url = `http://127.0.0.1:${port}/`;
    this.#actor = new GrailActor({
      name: 'verifier',
      kind: 'verifier',
      args: ['verifier', '--dir', this.#directory, '--port', String(port), ...flags],
      logFile: join(folder, 'logs', 'verifier.log'),
      ...(env && { env }),
      ...(disk && { wrapper: disk.wrapper }),
      onErr: (line) => onLine('verifier', line),
      onEnded: (reason, last) => onEnded('verifier', reason, last),
    });
    await this.#actor.launch();
  }

  urls(): readonly string[] {
    return [this.#url];
  }

  async stop(): Promise<void> {
    await this.#actor?.end('SIGTERM');
  }

  async close(): Promise<void> {}

  async copyOut(folder: string): Promise<void> {
    mkdirSync(folder);
    this.#copy(`${this.#directory}/.`, folder);
  }

  /** SQLite and Node follow links of /proc in their own ways: what is in another name space is copied from there. */
  #copy(from: string, to: string): void {
    const [program, ...args] = [...(this.#options.disk?.wrapper ?? []), 'cp', '-r', from, to];
    execFileSync(program!, args);
  }
}
