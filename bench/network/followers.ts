import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { Hex } from '../../src/protocol/bytes.ts';
import { CLOSERS, type Phase } from '../../src/protocol/phases.ts';
import { EVENTS_PATH } from '../../verifier/gateway.ts';
import { sourceAddress } from './volley.ts';

/** Sockets that are opened at one time. */
const AT_ONCE = 64;

/** Miners that follow the ledger over event sockets, and one of them that is listened to. */
export class Followers {
  readonly #sockets: WebSocket[] = [];
  readonly #closed = new Map<string, number>();
  #bytes = 0;
  #heard: () => void = () => {};
  #lost: Error | null = null;

  /** Opens a socket for each miner, which gets what closes phases and what is its own. */
  static async open(url: URL, miners: readonly Hex[]): Promise<Followers> {
    const followers = new Followers();
    for (let from = 0; from < miners.length; from += AT_ONCE) {
      const some = miners.slice(from, from + AT_ONCE);
      await Promise.all(some.map((miner, i) => followers.#open(url, miner, from + i)));
    }
    return followers;
  }

  async #open(url: URL, miner: Hex, number: number): Promise<void> {
    const socket = new WebSocket(new URL(EVENTS_PATH, url.href.replace('http', 'ws')), {
      localAddress: sourceAddress(number),
      perMessageDeflate: false,
    });
    await once(socket, 'open');
    this.#sockets.push(socket);
    socket.on('message', (data: Buffer) => {
      this.#bytes += data.length;
      if (number === 0) this.#hear(String(data));
    });
    socket.on('close', (code, reason) => {
      this.#lost ??= new Error(`a follower lost its socket: ${code} ${reason}`);
      this.#heard();
    });
    socket.send(JSON.stringify({ type: 'subscribe', from: 0, entries: 'closers', miner }));
  }

  #hear(text: string): void {
    const { type, entry } = JSON.parse(text);
    if (type === 'entry' && entry.body.type === CLOSERS[entry.phase as Phase]) {
      this.#closed.set(`${entry.window} ${entry.phase}`, performance.now());
      this.#heard();
    }
  }

  /** When the entry that closes a phase was heard of, on `performance`'s clock. @throws Error when a socket was closed */
  async closed(window: number, phase: Phase): Promise<number> {
    const key = `${window} ${phase}`;
    while (!this.#closed.has(key)) {
      if (this.#lost !== null) throw this.#lost;
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
    return this.#closed.get(key)!;
  }

  get count(): number {
    return this.#sockets.length;
  }

  /** Bytes that all of them have received. */
  get bytes(): number {
    return this.#bytes;
  }

  close(): void {
    for (const socket of this.#sockets) socket.terminate();
  }
}
