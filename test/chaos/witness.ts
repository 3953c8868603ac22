import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { entryBytes, entryLeaf, entrySchema, type LedgerEntry } from '../../src/ledger/entry.ts';
import { headSchema } from '../../src/ledger/head.ts';
import type { Ledger } from '../../src/ledger/log.ts';
import { type Hex, toHex } from '../../src/protocol/bytes.ts';
import { CLOSERS } from '../../src/protocol/phases.ts';
import { type ServerFrame, serverFrameSchema } from '../../src/protocol/wire.ts';

/** Wait between two attempts to connect. */
const AGAIN_MS = 200;

const closers: readonly string[] = Object.values(CLOSERS);

/**
 * Somebody who follows a network from outside and forgets nothing: every entry that any gateway showed, and every head that
 * the verifier signed. What was shown was durable, so it must stand in the ledger for ever.
 */
export class Witness {
  /** Leaf hashes of entries, by index. */
  readonly #leaves = new Map<number, Hex>();
  /** Roots of signed heads, by tree size. */
  readonly #heads = new Map<number, Hex>();
  readonly #contradictions: string[] = [];
  readonly #genesisHash: Uint8Array;
  readonly #stop = new AbortController();
  readonly #following: Promise<void>[] = [];
  #waiting: (() => void)[] = [];
  #size = 0;
  #verdicts = 0;
  #place = 'genesis';

  constructor(genesisHash: Uint8Array) {
    this.#genesisHash = genesisHash;
  }

  /** Entries known of. */
  get size(): number {
    return this.#size;
  }

  get verdicts(): number {
    return this.#verdicts;
  }

  get heads(): number {
    return this.#heads.size;
  }

  /** Window and phase of the newest entry. */
  get place(): string {
    return this.#place;
  }

  /** Follows a gateway until `stop`. */
  follow(url: string): void {
    this.#following.push(this.#followAll(url));
  }

  /** Waits until what it has seen fulfils a condition. @throws Error when it does not for `patienceMs` */
  async until(
    condition: () => boolean,
    options: { readonly what: string; readonly patienceMs: number; readonly signal: AbortSignal },
  ): Promise<void> {
    const { what, patienceMs, signal } = options;
    const late = AbortSignal.any([AbortSignal.timeout(patienceMs), signal]);
    while (!condition()) {
      signal.throwIfAborted();
      if (late.aborted) throw new Error(`${what} took more than ${patienceMs / 1000} s`);
      const heard = Promise.withResolvers<void>();
      this.#waiting.push(heard.resolve);
      late.addEventListener('abort', () => heard.resolve(), { once: true });
      await heard.promise;
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#following);
  }

  /** What does not agree with the ledger as it is in the end. */
  compare(ledger: Ledger): string[] {
    const wrong = [...this.#contradictions];
    for (const [index, leaf] of this.#leaves) {
      const got = index < ledger.size ? toHex(ledger.leaf(index)) : 'nothing';
      if (got !== leaf) wrong.push(`entry ${index} was shown, and the ledger has ${got} there`);
    }
    for (const [size, root] of this.#heads) {
      const got = size <= ledger.size ? toHex(ledger.root(size)) : 'fewer entries';
      if (got !== root) wrong.push(`a head was signed over ${size} entries, and the ledger has ${got}`);
    }
    return wrong;
  }

  async #followAll(url: string): Promise<void> {
    let next = 0;
    while (!this.#stop.signal.aborted) {
      next = await this.#connection(url, next);
      await sleep(AGAIN_MS, undefined, { signal: this.#stop.signal }).catch(() => {});
    }
  }

  /** One connection, from entry `from` on; gives the first entry that was not shown when it ends. */
  #connection(url: string, from: number): Promise<number> {
    const socket = new WebSocket(`${url.replace('http', 'ws').replace(/\/$/, '')}/v1/events`, {
      handshakeTimeout: 5_000,
      perMessageDeflate: false,
    });
    let next = from;
    return new Promise((resolve) => {
      const end = () => socket.terminate();
      this.#stop.signal.addEventListener('abort', end, { once: true });
      socket.on('error', () => socket.terminate());
      socket.on('close', () => {
        this.#stop.signal.removeEventListener('abort', end);
        resolve(next);
      });
      socket.on('message', (data) => {
        const frame = serverFrameSchema.parse(JSON.parse(String(data)));
        if (frame.type === 'hello') {
          if (frame.size < next) this.#contradicts(`${url} had ${next} entries and now has ${frame.size}`);
          socket.send(JSON.stringify({ type: 'subscribe', from: next, entries: 'all' }));
        } else if (frame.type === 'entry') {
          this.#entry(frame, url);
          next = frame.index + 1;
        }
      });
    });
  }

  #entry({ index, entry: given }: ServerFrame & { type: 'entry' }, url: string): void {
    const entry: LedgerEntry = entrySchema.parse(given);
    if (closers.includes(entry.body.type)) void this.#head(url);
    const leaf = toHex(entryLeaf(this.#genesisHash, entryBytes(entry)));
    const known = this.#leaves.get(index);
    if (known !== undefined) {
      if (known !== leaf) this.#contradicts(`entry ${index} was shown in two ways`);
      return;
    }
    this.#leaves.set(index, leaf);
    if (index >= this.#size) this.#place = `window ${entry.window}, ${entry.phase}`;
    this.#size = Math.max(this.#size, index + 1);
    if (entry.body.type === 'verdict') this.#verdicts++;
    this.#wake();
  }

  async #head(url: string): Promise<void> {
    try {
      const response = await fetch(new URL('v1/head', url), { signal: AbortSignal.timeout(5_000) });
      if (!response.ok) return;
      const { treeSize, treeRoot } = headSchema.parse(await response.json());
      const known = this.#heads.get(treeSize) ?? treeRoot;
      if (known !== treeRoot) this.#contradicts(`two heads were signed over ${treeSize} entries`);
      this.#heads.set(treeSize, treeRoot);
    } catch {
      // It has just been killed.
    }
  }

  #contradicts(what: string): void {
    this.#contradictions.push(what);
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
