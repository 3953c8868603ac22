import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Child, startChild } from '../src/cli/children.ts';
import { GrailError } from '../src/protocol/errors.ts';
import type { Role } from '../verifier/config.ts';

/** How many processes of each role. */
export type Sizes = Readonly<Record<Exclude<Role, 'all'>, number>>;

export interface ClusterOptions {
  /** Folder of the processes: the operator's, and their logs. */
  readonly folder: string;
  /** Where the processes meet, as for the flags of `grail verifier`. */
  readonly places: { readonly database: string; readonly blobs: string; readonly bus: string };
  /** Variables that the places need, such as passwords. */
  readonly env?: Readonly<Record<string, string>>;
  readonly sizes: Sizes;
  /** Port of the first gateway; the others follow it. 0 takes free ones. */
  readonly port: number;
  /** Port at which the first process that is no gateway tells how it is; the others follow it. Free ones unless given. */
  readonly operatorPort?: number;
  /** Further flags of every process, and of sequencers. */
  readonly flags?: readonly string[];
  readonly sequencerFlags?: readonly string[];
  readonly onLine?: (name: string, line: string) => void;
  /** Hears of a process that ended although nobody stopped it. */
  readonly onEnded?: (name: string, reason: string) => void;
}

/** One process of a cluster. */
export interface Member {
  readonly name: string;
  readonly role: Exclude<Role, 'all'>;
  readonly index: number;
  readonly child: Child;
  /** Where it listens, once it does. A sequencer that waits for its lease does not yet. */
  readonly url: Promise<string>;
}

/** How long a process may take to stop. */
const STOP_MS = 10_000;

/** All processes of a verifier on one machine. */
export class Cluster {
  readonly #options: ClusterOptions;
  readonly #members = new Map<string, Member>();
  readonly #stopping = new Set<string>();
  /** The ports of gateways: one that is started again has its old one. */
  readonly #ports = new Map<string, number>();

  constructor(options: ClusterOptions) {
    this.#options = options;
    mkdirSync(options.folder, { recursive: true });
  }

  get members(): readonly Member[] {
    return [...this.#members.values()];
  }

  /** Addresses of the gateways, for miners. */
  async urls(): Promise<string[]> {
    return Promise.all(this.members.filter(({ role }) => role === 'gateway').map(({ url }) => url));
  }

  /**
   * Starts everything: a sequencer first, which makes the network where there is none.
   * @throws GrailError CHILD_FAILED
   */
  async start(): Promise<void> {
    const { sizes } = this.#options;
    const first = this.launch('sequencer', 0);
    await first.url;
    const others: Member[] = [];
    for (let i = 1; i < sizes.sequencer; i++) this.launch('sequencer', i);
    for (const role of ['gateway', 'checker', 'trainer'] as const) {
      for (let i = 0; i < sizes[role]; i++) others.push(this.launch(role, i));
    }
    await Promise.all(others.map(({ url }) => url));
  }

  /** Starts a process, or starts it again. */
  launch(role: Member['role'], index: number): Member {
    const { folder, places, env, flags = [], sequencerFlags = [], onLine, onEnded } = this.#options;
    const name = `${role}-${index}`;
    // Sequencers share the operator's folder: one of them is the writer.
    const directory = role === 'sequencer' ? 'operator' : name;
    const ready = Promise.withResolvers<string>();
    ready.promise.catch(() => {});
    const child = startChild({
      name,
      args: [
        ...['verifier', '--role', role, '--dir', join(folder, directory), '--json'],
        ...['--port', String(this.portOf(role, index))],
        ...flags,
        ...(role === 'sequencer' ? sequencerFlags : []),
      ],
      logFile: join(folder, 'logs', `${name}.log`),
      // Not as flags: everybody on the machine sees those, and the database's URL has a password.
      env: {
        ...env,
        GRAIL_DATABASE: places.database,
        GRAIL_BLOBS: places.blobs,
        GRAIL_BUS: places.bus,
      },
      onErr: (line) => onLine?.(name, line),
      onOut: (line) => {
        const event = JSON.parse(line);
        if (event.event !== 'listening') return;
        this.#ports.set(name, Number(new URL(event.url).port));
        ready.resolve(event.url);
      },
    });
    const member: Member = { name, role, index, child, url: ready.promise };
    this.#members.set(name, member);
    void child.ended.then((reason) => {
      if (this.#members.get(name) === member) this.#members.delete(name);
      ready.reject(
        new GrailError('CHILD_FAILED', `${name} ended (${reason}): see ${folder}/logs/${name}.log`),
      );
      if (!this.#stopping.has(name)) onEnded?.(name, reason);
      this.#stopping.delete(name);
    });
    return member;
  }

  /** Ends a process as a power cut would. */
  async kill(name: string): Promise<void> {
    const member = this.#members.get(name);
    if (member === undefined) return;
    this.#stopping.add(name);
    await member.child.kill();
  }

  /** Stops everything in order: those that ask before those that are asked. */
  async stop(): Promise<void> {
    for (const role of ['gateway', 'sequencer', 'trainer', 'checker'] as const) {
      const members = this.members.filter((member) => member.role === role);
      for (const { name } of members) this.#stopping.add(name);
      await Promise.all(members.map(({ child }) => child.stop(STOP_MS)));
    }
  }

  /** The port that a process gets; 0 is a free one. */
  portOf(role: Member['role'], index: number): number {
    const { port, operatorPort = 0, sizes } = this.#options;
    if (role === 'gateway') return this.#ports.get(`gateway-${index}`) ?? (port === 0 ? 0 : port + index);
    if (operatorPort === 0) return 0;
    const before = { sequencer: 0, checker: sizes.sequencer, trainer: sizes.sequencer + sizes.checker };
    return operatorPort + before[role] + index;
  }
}
