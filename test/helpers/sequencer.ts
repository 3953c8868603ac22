import { type Architecture, type Policy, weightCount, weightRows } from '../../src/policy/architecture.ts';
import { clampPolicy } from '../../src/policy/quantiser.ts';
import type { Opening } from '../../src/proofs/opening.ts';
import { bytesToBig, fromHex, type Hex, toHex, utf8 } from '../../src/protocol/bytes.ts';
import { canonicalText } from '../../src/protocol/canonical.ts';
import type { Rejection } from '../../src/protocol/errors.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import type { WindowInput, WindowWork } from '../../src/replica/judge.ts';
import { NetworkState } from '../../src/replica/state.ts';
import { assembleVerdict } from '../../src/replica/verdict.ts';
import type { LedgerWriter } from '../../src/storage/ledger-database.ts';
import type { VerifierConfig } from '../../verifier/config.ts';
import { lineLog } from '../../verifier/log.ts';
import { createMetrics } from '../../verifier/metrics/index.ts';
import { Sequencer } from '../../verifier/sequencer.ts';
import { KEYS, named, TestNetwork, testBeacon, tinyGenesis } from './network.ts';
import { believe, type CheckProof, oneByOne } from './one-by-one.ts';

/**
 * A real sequencer on a real ledger, without its expensive half: the judge trains nobody, accepts every commitment that
 * is not in `rejected`, and finds in every replay what `TestMiner.opening` opens.
 */
export class TestSequencer {
  readonly network: TestNetwork;
  readonly sequencer: Sequencer;
  readonly config: VerifierConfig;
  readonly done: Promise<void>;
  /** What the judge says of a miner's commitment. */
  readonly rejected = new Map<Hex, Rejection>();
  /** Called when the sequencer says that a phase closes without somebody. */
  onImpatience: () => void = () => {};
  /** Checks a proof; a test may do something meanwhile. */
  checkProof: CheckProof = async () => {};
  readonly #works = new Map<number, WindowWork>();

  constructor(
    config: Partial<VerifierConfig> = {},
    genesis = tinyGenesis(),
    writer: LedgerWriter | null = null,
  ) {
    this.network = new TestNetwork(genesis);
    this.config = {
      host: '',
      port: 0,
      phaseTimeoutMs: 60_000,
      windows: null,
      goal: null,
      evaluationEpisodes: 0,
      threads: 1,
      leaseMs: 10_000,
      ...config,
    };
    const { state, ledger, blobs } = this.network;
    this.sequencer = new Sequencer({
      state,
      ledger,
      writer,
      identity: KEYS.verifier,
      beacon: testBeacon(),
      judge: { process: async (input) => this.#process(input), evaluate: async () => 0 },
      checkProofs: oneByOne((signals, proof) => this.checkProof(signals, proof)),
      blobs,
      keepTrainerState: async () => {},
      policies: new Map([[0, this.policy]]),
      config: this.config,
      metrics: createMetrics(),
      log: lineLog((line) => {
        if (line.includes('closes without')) this.onImpatience();
      }),
    });
    this.done = this.sequencer.run();
    this.done.catch(() => {});
  }

  get policy(): Policy {
    return zeroPolicy(this.network.genesis.architecture);
  }

  /** Resolves when a window has left a phase and the disk knows it, rejects when the sequencer gives up. */
  async left(window: number, phase: string): Promise<void> {
    const over = () => {
      const { state, ledger } = this.network;
      const now = state.window(window)?.phase;
      return now !== undefined && now !== phase && ledger.size === ledger.stagedSize;
    };
    const waited = new Promise<void>((resolve) => {
      const look = () => (over() ? resolve() : setTimeout(look, 1));
      look();
    });
    await Promise.race([waited, this.done]);
    if (!over()) throw new Error(`the run ended in the ${phase} phase of window ${window}`);
  }

  /** Replays the ledger from its first entry, verdicts included. @throws what a replay finds wrong */
  async replay(): Promise<NetworkState> {
    const state = new NetworkState(this.network.genesis);
    for (const { entry } of this.network.ledger.range()) {
      if (entry.body.type === 'verdict') {
        const work = this.#works.get(entry.window)!;
        const window = state.window(entry.window)!;
        const verdict = await assembleVerdict(state, window, work, this.policy, believe);
        if (canonicalText(verdict) !== canonicalText(entry.body)) {
          throw new Error(`the verdict of window ${entry.window} is not that of the entries before it`);
        }
      }
      state.apply(entry);
    }
    return state;
  }

  async stop(): Promise<void> {
    await this.sequencer.stop();
    this.network.remove();
  }

  #process(input: WindowInput): WindowWork {
    const work = untrained(this.policy, input, this.rejected);
    this.#works.set(input.window, work);
    return work;
  }
}

/** A policy of zeros. */
export function zeroPolicy(architecture: Architecture): Policy {
  const tensors = architecture.layers.map((layer) => ({
    weight: new Int8Array(weightCount(layer)),
    bias: new Int32Array(weightRows(layer)),
  }));
  return clampPolicy(architecture, tensors);
}

/** What a judge says that replays and trains nothing: each commitment opens to what `TestMiner.opening` posts. */
export function untrained(
  policy: Policy,
  input: WindowInput,
  rejected: ReadonlyMap<Hex, Rejection> = new Map(),
): WindowWork {
  const version = input.window + 1;
  const patch = utf8(`patch ${version}`);
  const digests = ['11', '22'].map((fill) => bytesToBig(fromHex(`0x00${fill.repeat(31)}`)));
  const { actions } = policy.architecture;
  const observation = Int8Array.of(127, -127, 0, -1);
  const steps = Array.from({ length: 8 }, () => ({ observation, noise: new Int32Array(actions), action: 0 }));
  const opening: Opening = {
    challenges: steps.map((_, step) => ({ slot: 0, step })),
    steps,
    observations: `0x${'7f8100ff'.repeat(8)}`,
    parts: digests.map((traceDigest, part) => ({
      context: BigInt(part),
      steps: steps.slice(4 * part, 4 * (part + 1)),
      traceDigest,
    })),
  };
  return {
    window: input.window,
    judgements: input.commits.map(({ miner }) => {
      const rejection = rejected.get(miner) ?? null;
      return { miner, rejection, meanReturn: null, opening: rejection === null ? opening : null };
    }),
    update: {
      version,
      policyRoot: named(`policy ${version}`),
      trainerStateRoot: named(`trainer ${version}`),
      patch: { hash: toHex(sha256(patch)), bytes: patch.length },
      anchor: null,
      fullBytes: 88,
      metrics: { outcome: 'no-data' },
    },
    policy,
    patch,
    anchor: null,
    trainerState: new Uint8Array(),
  };
}
