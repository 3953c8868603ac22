import { VerifierClient } from '../../rollouts/client.ts';
import type { Conduct } from '../../rollouts/conduct.ts';
import { inlineEngine } from '../../rollouts/engine/index.ts';
import type { MinerEvent } from '../../rollouts/events.ts';
import { createMiner, type Miner, type MinerSummary } from '../../rollouts/miner.ts';
import { referenceBackend } from '../../src/backends/index.ts';
import type { Genesis } from '../../src/params/genesis.ts';
import type { Identity } from '../../src/protocol/identity.ts';
import type { Receipt } from '../../src/protocol/wire.ts';
import type { WindowState } from '../../src/replica/window.ts';
import { createGateway, type Gateway } from '../../verifier/gateway.ts';
import { lineLog } from '../../verifier/log.ts';
import { mineableGenesis } from '../support/mining.ts';
import { KEYS, TestNetwork } from './network.ts';

/** Waits between a miner's attempts, for tests. */
export const FAST = { baseMs: 5, maxMs: 20 };

/** Waits until something holds. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 2000; i++) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`never: ${what}`);
}

/** A miner that runs, with everything it reported. */
export interface RunningMiner {
  readonly events: readonly MinerEvent[];
  readonly receipts: readonly Receipt[];
  readonly miner: Miner;
  readonly end: Promise<MinerSummary>;
  of<K extends MinerEvent['event']>(kind: K): Extract<MinerEvent, { event: K }>[];
}

export interface MineOptions {
  readonly conduct?: Conduct;
  readonly windows?: number;
  readonly slots?: number;
  readonly signal?: AbortSignal;
  readonly identity?: Identity;
  readonly client?: VerifierClient;
}

/** A network without its expensive half behind real gateways, and miners of KEYS.miner on it. */
export class MinerNetwork {
  readonly network: TestNetwork;
  readonly #gateways = new Map<string, Gateway>();
  readonly #aborter = new AbortController();
  /** The address of the first gateway. */
  url = '';

  constructor(changes: Partial<Genesis> = {}) {
    this.network = new TestNetwork(mineableGenesis(changes));
  }

  /** Starts a gateway, again at its address where that is given, and gives the address. */
  async serve(url?: string): Promise<string> {
    const { network } = this;
    const port = url === undefined ? 0 : Number(new URL(url).port);
    const log = lineLog(() => {});
    const gateway = createGateway({ sequencer: network, blobs: network.blobs, host: '127.0.0.1', port, log });
    const { url: address } = await gateway.start();
    this.#gateways.set(address, gateway);
    if (this.url === '') this.url = address;
    return address;
  }

  /** Stops a gateway. */
  async leave(url = this.url): Promise<void> {
    await this.#gateways.get(url)!.stop();
    this.#gateways.delete(url);
  }

  async remove(): Promise<void> {
    this.#aborter.abort();
    for (const gateway of this.#gateways.values()) await gateway.stop();
    this.network.remove();
  }

  get signal(): AbortSignal {
    return this.#aborter.signal;
  }

  async mine(options: MineOptions = {}): Promise<RunningMiner> {
    const events: MinerEvent[] = [];
    const receipts: Receipt[] = [];
    let proofs = 0;
    const miner = createMiner({
      client: options.client ?? (await VerifierClient.connect({ url: this.url })),
      identity: options.identity ?? KEYS.miner,
      slots: options.slots ?? 2,
      engine: inlineEngine(referenceBackend()),
      // This network's verdicts look at no proof; the real prover has its own tests.
      prover: {
        prove: async () => ({
          proof: new Uint8Array(256).fill(++proofs),
          publicSignals: [],
          witnessMs: 0,
          proveMs: 0,
        }),
      },
      log: (event) => events.push(event),
      onReceipt: (receipt) => receipts.push(receipt),
      signal: options.signal ?? this.signal,
      backoff: FAST,
      ...(options.conduct && { conduct: options.conduct }),
      ...(options.windows && { windows: options.windows }),
    });
    const end = miner.run();
    // Most tests end by aborting it.
    end.catch(() => {});
    const of = <K extends MinerEvent['event']>(kind: K) =>
      events.filter((event): event is Extract<MinerEvent, { event: K }> => event.event === kind);
    return { events, receipts, miner, end, of };
  }

  state(window: number): WindowState {
    return this.network.state.window(window)!;
  }

  enrolled(window: number): boolean {
    return this.state(window)?.enrolments.get(KEYS.miner.address) !== undefined;
  }

  committed(window: number): boolean {
    return this.state(window).commits.get(KEYS.miner.address) !== undefined;
  }

  opened(window: number): boolean {
    return this.state(window).openings.get(KEYS.miner.address) !== undefined;
  }

  proved(window: number): boolean {
    const parts = this.state(window).proofs.get(KEYS.miner.address) ?? [];
    return parts.filter((part) => part.length > 0).length === 2;
  }
}
