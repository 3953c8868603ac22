import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEMO_PASSWORD } from '../../src/cli/demo-network.ts';
import { createKeystore } from '../../src/cli/keystore.ts';
import type { Hex } from '../../src/protocol/bytes.ts';
import { Identity } from '../../src/protocol/identity.ts';
import { type Devnet, makeDevnet } from '../../verifier/devnet.ts';
import { type Actor, GrailActor } from './actor.ts';
import type { Side, SideEars } from './side.ts';
import { Witness } from './witness.ts';

/** Miners of every network. */
export const MINERS = 3;

/** Seconds that a phase waits for a miner: a killed one is back long before. */
const PHASE_SECONDS = 180;

/** As a service manager does with a process that ended by itself. */
const RESTART_MS = 1_000;

/** The network stands still when nothing comes for so long. */
export const STALL_MS = 300_000;

/** A process that ended by itself. */
export interface End {
  readonly name: string;
  readonly reason: string;
  readonly last: readonly string[];
}

/** An event that a miner told, such as an acknowledgement. */
export interface Told {
  readonly miner: Hex;
  readonly event: string;
  readonly [field: string]: unknown;
}

export interface NetworkOptions {
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly make: (parts: SideEars & { readonly folder: string; readonly flags: readonly string[] }) => Side;
}

/** A network with three miners and a witness, whose processes may be killed. */
export class Network<S extends Side = Side> {
  readonly folder: string;
  readonly devnet: Devnet;
  readonly side: S;
  readonly witness: Witness;
  readonly signal: AbortSignal;
  readonly miners: readonly GrailActor[];
  readonly addresses: readonly Hex[];
  /** Everything that miners told, in order. */
  readonly told: Told[] = [];
  readonly ends: End[] = [];
  readonly #lines: { name: string; line: string }[] = [];
  #stopping = false;
  #heard: (() => void)[] = [];

  private constructor(
    folder: string,
    devnet: Devnet,
    side: S,
    miners: readonly GrailActor[],
    signal: AbortSignal,
  ) {
    this.folder = folder;
    this.devnet = devnet;
    this.side = side;
    this.miners = miners;
    this.signal = signal;
    this.addresses = devnet.minerKeys.map((key) => new Identity(key).address);
    this.witness = new Witness(devnet.genesisHash);
  }

  /** Makes a network in a folder of its own and starts all of it. */
  static async start<S extends Side>(
    options: Omit<NetworkOptions, 'make'> & {
      readonly make: (parts: SideEars & { readonly folder: string; readonly flags: readonly string[] }) => S;
    },
  ): Promise<Network<S>> {
    const { seed, signal, make } = options;
    const folder = mkdtempSync(join(tmpdir(), 'grail-chaos-'));
    mkdirSync(join(folder, 'logs'));
    const devnet = await makeDevnet({ seed, miners: MINERS });
    const miners: GrailActor[] = [];
    const side = make({
      folder,
      flags: ['--phase-timeout', String(PHASE_SECONDS)],
      onLine: (name, line) => network.#line(name, line),
      onEnded: (name, reason, last) => network.#ended(name, reason, last),
    });
    const network: Network<S> = new Network(folder, devnet, side, miners, signal);
    try {
      await side.start(devnet);
      for (const [index, key] of devnet.minerKeys.entries()) {
        await createKeystore(join(folder, `miner-${index}.json`), DEMO_PASSWORD, 'fast', key);
        const miner = network.#miner(index);
        miners.push(miner);
        await miner.launch();
      }
      for (const url of side.urls()) network.witness.follow(url);
      return network;
    } catch (error) {
      await network.end();
      network.remove();
      throw error;
    }
  }

  get actors(): readonly Actor[] {
    return [...this.side.actors, ...this.miners];
  }

  actor(name: string): Actor {
    return this.actors.find((actor) => actor.name === name)!;
  }

  /** Lines that the verifier's processes wrote, from line `from` of all on. */
  lines(pattern: RegExp, from = 0): { name: string; line: string }[] {
    return this.#lines.slice(from).filter(({ line }) => pattern.test(line));
  }

  /** Where lines that come from now on begin. */
  get mark(): number {
    return this.#lines.length;
  }

  /** Waits for a line of the verifier that was written after `from`. */
  line(pattern: RegExp, from: number): Promise<{ name: string; line: string }> {
    return this.#heardOf(
      () => this.lines(pattern, from)[0],
      `no process of the verifier said ${pattern}: see ${this.folder}/logs`,
    );
  }

  async #heardOf<T>(find: () => T | undefined, missing: string): Promise<T> {
    const late = AbortSignal.any([AbortSignal.timeout(STALL_MS), this.signal]);
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      this.signal.throwIfAborted();
      if (late.aborted) throw new Error(missing);
      const heard = Promise.withResolvers<void>();
      this.#heard.push(heard.resolve);
      late.addEventListener('abort', () => heard.resolve(), { once: true });
      await heard.promise;
    }
  }

  /** Waits until the ledger has `count` verdicts more. */
  async verdicts(count: number): Promise<void> {
    const wanted = this.witness.verdicts + count;
    await this.witness.until(() => this.witness.verdicts >= wanted, {
      what: `the verdict of window ${wanted - 1}`,
      patienceMs: STALL_MS,
      signal: this.signal,
    });
  }

  /** Resolves with the next end of a process that nobody asked for. */
  async nextEnd(name: string): Promise<End> {
    const from = this.ends.length;
    return this.#heardOf(
      () => this.ends.slice(from).find((end) => end.name === name),
      `${name} did not end by itself`,
    );
  }

  /** Ends the miners, then the verifier in order, and nobody starts again. */
  async halt(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.miners.map((miner) => miner.kill()));
    await this.witness.stop();
    await this.side.stop();
  }

  /** Ends everything at once; whoever came through it may then `remove` it. */
  async end(): Promise<void> {
    this.#stopping = true;
    await this.witness.stop();
    await Promise.all(this.actors.map((actor) => actor.kill()));
    await this.side.stop();
    await this.side.close();
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #line(name: string, line: string): void {
    this.#lines.push({ name, line });
    this.#wake();
  }

  #wake(): void {
    const heard = this.#heard;
    this.#heard = [];
    for (const resolve of heard) resolve();
  }

  #ended(name: string, reason: string, last: readonly string[]): void {
    if (this.#stopping) return;
    this.ends.push({ name, reason, last });
    this.#wake();
    void sleep(RESTART_MS, undefined, { signal: this.signal, ref: false })
      .then(() => (this.#stopping ? undefined : this.actor(name).launch()))
      .catch(() => {});
  }

  #miner(index: number): GrailActor {
    const name = `miner-${index}`;
    const urls = this.side.urls();
    // Each begins at another gateway.
    const order = urls.map((_, i) => urls[(i + index) % urls.length]!);
    return new GrailActor({
      name,
      kind: 'miner',
      args: [
        ...['miner', '--verifier', order.join(','), '--keystore', join(this.folder, `${name}.json`)],
        ...['--slots', '1', '--threads', '1', '--receipts', join(this.folder, 'receipts', name), '--json'],
      ],
      logFile: join(this.folder, 'logs', `${name}.log`),
      // Another network of the same seed on this machine has the same keys.
      env: { GRAIL_RUNTIME: this.folder },
      onOut: (line) => {
        appendFileSync(join(this.folder, 'logs', `${name}.events`), `${line}\n`);
        this.told.push({ miner: this.addresses[index]!, ...JSON.parse(line) });
      },
      onEnded: (reason, last) => this.#ended(name, reason, last),
    });
  }
}
