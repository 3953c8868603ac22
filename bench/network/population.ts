import { commitMessage } from '../../rollouts/commit.ts';
import { inlineEngine } from '../../rollouts/engine/index.ts';
import { loadBackend } from '../../src/backends/index.ts';
import type { Rollouts } from '../../src/environments/index.ts';
import type { LedgerEntry } from '../../src/ledger/entry.ts';
import type { Policy } from '../../src/policy/architecture.ts';
import { digestHex, type Opening, openChallenges } from '../../src/proofs/opening.ts';
import { circuitSpec } from '../../src/proofs/spec.ts';
import { type Hex, toHex } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { Identity } from '../../src/protocol/identity.ts';
import { type Message, signMessage } from '../../src/protocol/messages.ts';
import { storedPolicies } from '../../src/replica/load-judge.ts';
import { enrolled, NetworkState } from '../../src/replica/state.ts';
import { type Devnet, makeDevnet } from '../../verifier/devnet.ts';
import { ProofCache } from './proof-cache.ts';
import { fetchBytes } from './volley.ts';

/** What each miner plays in a window. */
export interface WindowSize {
  readonly slots: number;
  readonly stepsPerSlot: number;
}

/** So little that the service is measured and neither playing nor training. */
export const SMALL: WindowSize = { slots: 1, stepsPerSlot: 16 };

/** Makes keys and challenges the same each time, and with them everything that miners send. */
const SEED = 7;

const TURN_MS = 50;

/** What a miner has made in a window. */
interface Work {
  readonly rollouts: Rollouts;
  opening: Opening | null;
}

/** The miners of a network of their own, and what each of them sends. */
export class Population {
  readonly devnet: Devnet;
  readonly state: NetworkState;
  readonly #slots: number;
  readonly #identities: readonly Identity[];
  readonly #proofs: ProofCache;
  readonly #works = new Map<Hex, Work>();
  #policy: Policy | null = null;
  /** Where blobs come from. */
  #url: URL | null = null;

  private constructor(devnet: Devnet, slots: number, progress: (line: string) => void) {
    this.devnet = devnet;
    this.#slots = slots;
    this.state = new NetworkState(devnet.genesis);
    this.#identities = devnet.minerKeys.map((key) => new Identity(key));
    this.#proofs = new ProofCache(circuitSpec(devnet.genesis), progress);
  }

  /** Makes a network that knows so many miners. */
  static async make(miners: number, size: WindowSize, progress: (line: string) => void): Promise<Population> {
    const devnet = await makeDevnet({ seed: SEED, miners, stepsPerSlot: size.stepsPerSlot });
    return new Population(devnet, size.slots, progress);
  }

  get miners(): Hex[] {
    return this.#identities.map(({ address }) => address);
  }

  /** Takes in what a verifier's ledger holds by now, by the rules. @throws GrailError LEDGER_INVALID */
  async catchUp(url: URL): Promise<void> {
    this.#url = url;
    for (;;) {
      const page = await fetchBytes(url, `/v1/entries?from=${this.state.size}`);
      const { entries } = JSON.parse(new TextDecoder().decode(page)) as { entries: LedgerEntry[] };
      if (entries.length === 0) return;
      await inTurns(entries, (entry) => this.state.apply(entry, { signatureChecked: true }));
    }
  }

  enrols(window: number): Promise<Message[]> {
    return inTurns(this.#identities, (identity) =>
      signMessage(this.state.domain, identity, {
        type: 'enrol',
        miner: identity.address,
        window,
        slots: this.#slots,
      }),
    );
  }

  async commits(window: number): Promise<Message[]> {
    const { genesis, genesisHash, versions, domain } = this.state;
    const state = this.state.window(window)!;
    const policies = await storedPolicies(versions, { get: (hash) => this.#blob(hash) }, genesis);
    const policy = policies.get(state.open!.policyVersion)!;
    this.#policy = policy;
    const engine = inlineEngine(await loadBackend('simd'));
    const policyRoot = toHex(state.open!.policyRoot);
    this.#works.clear();
    return inTurns(this.#identities, async (identity) => {
      const miner = identity.address;
      const slots = state.slots(miner);
      const windowSeed = state.open!.seed;
      const input = { genesis, genesisHash, window, windowSeed, miner, slots, policy };
      const rollouts = await engine.play(input);
      this.#works.set(miner, { rollouts, opening: null });
      const unsigned = commitMessage({ genesis, genesisHash, window, miner, policyRoot }, rollouts);
      return signMessage(domain, identity, unsigned);
    });
  }

  openings(window: number): Promise<Message[]> {
    const { genesis, genesisHash, domain } = this.state;
    const state = this.state.window(window)!;
    const policy = this.#policy!;
    const challenge = toHex(state.challenge!.seed);
    const challenged = { window, windowSeed: state.open!.seed, challengeSeed: state.challenge!.seed };
    return inTurns(this.#identities, (identity) => {
      const miner = identity.address;
      const work = this.#works.get(miner)!;
      work.opening = openChallenges(genesis, genesisHash, policy, challenged, miner, work.rollouts);
      return signMessage(domain, identity, {
        type: 'opening',
        miner,
        window,
        challengeSeed: challenge,
        traceDigests: work.opening.parts.map(({ traceDigest }) => digestHex(traceDigest)),
        observations: work.opening.observations,
      });
    });
  }

  async proofs(window: number): Promise<Message[]> {
    const state = this.state.window(window)!;
    const policy = this.#policy!;
    const parts = this.#identities.flatMap((identity) =>
      this.#works.get(identity.address)!.opening!.parts.map((statement, part) => ({
        identity,
        part,
        statement,
      })),
    );
    const proofs = await this.#proofs.proofs(
      parts.map(({ statement: { context, steps } }) => ({ policy, rho: state.fold!.rho, context, steps })),
    );
    return inTurns(parts, ({ identity, part }, i) =>
      signMessage(this.state.domain, identity, {
        type: 'proof',
        miner: identity.address,
        window,
        part,
        proof: toHex(proofs[i]!),
      }),
    );
  }

  /** Miners whom a window's verdict credits, of those enrolled. */
  credited(window: number): { readonly credited: number; readonly enrolled: number } {
    const state = this.state.window(window)!;
    const results = state.verdict!.results;
    return { credited: results.filter(({ credit }) => credit > 0).length, enrolled: enrolled(state).length };
  }

  async #blob(hash: Hex): Promise<Uint8Array> {
    const bytes = await fetchBytes(this.#url!, `/v1/blobs/${hash}`);
    if (toHex(sha256(bytes)) !== hash) throw new Error(`the verifier sent something else than blob ${hash}`);
    return bytes;
  }
}

/** Makes one thing after the other; sockets are answered meanwhile, or the verifier would take their readers for dead. */
export async function inTurns<T, R>(
  items: readonly T[],
  make: (item: T, index: number) => R | Promise<R>,
): Promise<R[]> {
  const made: R[] = [];
  let turn = performance.now();
  for (const [index, item] of items.entries()) {
    made.push(await make(item, index));
    if (performance.now() - turn < TURN_MS) continue;
    await new Promise((resolve) => setImmediate(resolve));
    turn = performance.now();
  }
  return made;
}
