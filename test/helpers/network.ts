import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LedgerEntry } from '../../src/ledger/entry.ts';
import { signHead, type TreeHead } from '../../src/ledger/head.ts';
import { type Ledger, openLedger } from '../../src/ledger/log.ts';
import { type Genesis, parseGenesis } from '../../src/params/genesis.ts';
import { GUMBEL_TABLE_SHA256 } from '../../src/policy/gumbel.ts';
import { LocalBeacon } from '../../src/protocol/beacon.ts';
import { type Hex, toHex, utf8 } from '../../src/protocol/bytes.ts';
import { canonicalBytes } from '../../src/protocol/canonical.ts';
import { GrailError, type Rejection } from '../../src/protocol/errors.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { Identity } from '../../src/protocol/identity.ts';
import {
  attestationDigest,
  type Message,
  type MessageOf,
  messageDigest,
  parseMessage,
  signMessage,
} from '../../src/protocol/messages.ts';
import type { Acknowledgement, Receipt } from '../../src/protocol/wire.ts';
import type { CloserBody, MinerResult, VerdictBody } from '../../src/replica/bodies.ts';
import { NetworkState } from '../../src/replica/state.ts';
import type { WindowState } from '../../src/replica/window.ts';
import { FolderBlobStore } from '../../src/storage/blobs.ts';
import type { NetworkStatus, SequencerView, VerifierEvent } from '../../verifier/types.ts';

/** A hash that stands for something: SHA-256 of its name. */
export const named = (name: string): Hex => toHex(sha256(utf8(name)));

const identity = (fill: number) => new Identity(new Uint8Array(32).fill(fill));

/** Keys of every test network. `stranger` is in no genesis. */
export const KEYS = { verifier: identity(1), miner: identity(2), other: identity(3), stranger: identity(4) };

let beacon: LocalBeacon | null = null;

/** The beacon of every test network: made once, it takes 131,072 hashes. */
export function testBeacon(): LocalBeacon {
  beacon ??= new LocalBeacon([sha256(utf8('beacon 0')), sha256(utf8('beacon 1'))]);
  return beacon;
}

/** A valid genesis of a network that nobody can train: 16 steps a slot, two proofs of four steps, two miners. */
export function tinyGenesis(changes: Partial<Genesis> = {}): Genesis {
  const { ends } = testBeacon();
  return parseGenesis({
    protocolVersion: 1,
    name: 'tiny',
    chainId: 0,
    insecureDev: true,
    environment: 'CartPole-v1',
    architecture: {
      observation: 4,
      actions: 2,
      layers: [
        { type: 'dense', in: 4, out: 8, shift: 5, biasMax: 1024 },
        { type: 'dense', in: 8, out: 2, shift: 1, biasMax: 1024 },
      ],
    },
    quantiser: { observationBits: 6, activationBits: 5, weightBits: [4, 6], hysteresis: 0.75 },
    algorithm: {
      name: 'ppo',
      learningRate: 0.001,
      adamEpsilon: 0.00001,
      epochs: 1,
      minibatch: 16,
      clip: 0.2,
      gamma: 0.99,
      lambda: 0.95,
      maxGradientNorm: 0.5,
      entropyBonus: 0,
      importanceCap: 2,
      criticHidden: [4],
    },
    initialSeed: named('seed'),
    initialPolicyRoot: named('policy 0'),
    initialTrainerStateRoot: named('trainer 0'),
    initialAnchor: named('anchor 0'),
    stepsPerSlot: 16,
    groupSize: 1,
    stepsPerProof: 4,
    challengesPerMiner: 8,
    lag: 1,
    maxSlots: 8,
    anchorEvery: 4,
    emission: 1000,
    rate: 100,
    coolDown: 2,
    beacon: { kind: 'local', ends: [toHex(ends[0]), toHex(ends[1])] },
    miners: [KEYS.miner.address, KEYS.other.address].sort(),
    verifiers: [{ address: KEYS.verifier.address, power: 1 }],
    proof: { variant: 'folds', verificationKeys: { folds: named('key'), digest: null } },
    gumbelTable: GUMBEL_TABLE_SHA256,
    trainingWasm: named('wasm'),
    parent: null,
    ...changes,
  });
}

/** Everything a miner may send in a window, valid for a network that `TestNetwork` drives. */
export class TestMiner {
  readonly #network: TestNetwork;
  readonly identity: Identity;

  constructor(network: TestNetwork, key: Identity) {
    this.#network = network;
    this.identity = key;
  }

  #sign<M extends Message>(message: Omit<M, 'miner' | 'signature'>): M {
    const unsigned = { ...message, miner: this.identity.address } as unknown as M;
    return signMessage(this.#network.state.domain, this.identity, unsigned);
  }

  register(): MessageOf<'register'> {
    return this.#sign({ type: 'register' });
  }

  enrol(window: number, slots = 2): MessageOf<'enrol'> {
    return this.#sign({ type: 'enrol', window, slots });
  }

  /** Two slots of 16 steps of one bit: 4 bytes. */
  commit(window: number, changes: Partial<MessageOf<'commit'>> = {}): MessageOf<'commit'> {
    const policyRoot = toHex(this.#network.state.window(window)?.open?.policyRoot ?? new Uint8Array(32));
    const actions: Hex = '0x00ff00ff';
    return this.#sign({
      type: 'commit',
      window,
      policyRoot,
      commitRoot: named('rollouts'),
      actions,
      ...changes,
    });
  }

  /** Two digests and 8 observations of 4 values. */
  opening(window: number, changes: Partial<MessageOf<'opening'>> = {}): MessageOf<'opening'> {
    const traceDigests: Hex[] = [`0x00${'11'.repeat(31)}`, `0x00${'22'.repeat(31)}`];
    const observations: Hex = `0x${'7f8100ff'.repeat(8)}`;
    const challengeSeed = toHex(this.#network.state.window(window)?.challenge?.seed ?? new Uint8Array(32));
    return this.#sign({ type: 'opening', window, challengeSeed, traceDigests, observations, ...changes });
  }

  proof(window: number, part: number, fill = 'aa'): MessageOf<'proof'> {
    return this.#sign({ type: 'proof', window, part, proof: `0x${fill.repeat(256)}` });
  }
}

/**
 * A network without its expensive half: the real rules and a real ledger in a folder of its own. Phases are closed by
 * hand, and verdicts credit everybody without replaying anything.
 */
export class TestNetwork implements SequencerView {
  readonly directory = mkdtempSync(join(tmpdir(), 'grail-network-'));
  readonly genesis: Genesis;
  readonly state: NetworkState;
  readonly ledger: Ledger;
  readonly blobs: FolderBlobStore;
  readonly miner: TestMiner;
  readonly other: TestMiner;
  readonly stranger: TestMiner;
  readonly #listeners = new Set<(event: VerifierEvent) => void>();

  constructor(genesis: Genesis = tinyGenesis()) {
    this.genesis = genesis;
    this.state = new NetworkState(genesis);
    this.ledger = openLedger(join(this.directory, 'ledger.sqlite'), this.state.genesisHash);
    this.blobs = new FolderBlobStore(join(this.directory, 'blobs'));
    this.miner = new TestMiner(this, KEYS.miner);
    this.other = new TestMiner(this, KEYS.other);
    this.stranger = new TestMiner(this, KEYS.stranger);
    this.append(NetworkState.genesisEntry(genesis));
  }

  remove(): void {
    this.ledger.close();
    rmSync(this.directory, { recursive: true, force: true });
  }

  append(entry: LedgerEntry): number {
    const { index } = this.ledger.append(entry);
    this.state.apply(entry);
    this.emit({ type: 'entry', index, entry });
    return index;
  }

  async submit(value: unknown): Promise<Acknowledgement> {
    return this.take(value);
  }

  /** As `submit`, at once. */
  take(value: unknown): Acknowledgement {
    const message = parseMessage(value);
    try {
      const digest = messageDigest(this.state.domain, message);
      const admission = this.state.admit(message, digest);
      const index = admission.kind === 'duplicate' ? admission.index : this.append(admission.entry);
      const phase = message.type === 'register' ? 'enrol' : message.type === 'proof' ? 'prove' : message.type;
      const window = 'window' in message ? message.window : this.state.enrolWindow;
      const tree = { treeSize: this.ledger.size, treeRoot: toHex(this.ledger.root()) };
      const promise = { messageHash: toHex(digest), window, phase, view: 0, index, ...tree };
      const signature = KEYS.verifier.sign(attestationDigest(this.state.domain, 'acknowledgement', promise));
      return { ...promise, verifier: KEYS.verifier.address, signature };
    } catch (error) {
      if (!(error instanceof GrailError)) throw error;
      const window = 'window' in message ? message.window : null;
      this.emit({
        type: 'refused',
        miner: message.miner,
        window,
        message: message.type,
        error: error.toJSON(),
      });
      throw error;
    }
  }

  emit(event: VerifierEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  subscribe(listener: (event: VerifierEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The body that closes a window's present phase. */
  async closer(window: number, rejections: Partial<Record<Hex, Rejection>> = {}): Promise<CloserBody> {
    const state = this.state.window(window)!;
    switch (state.phase) {
      case 'enrol':
        return this.state.openBody(await testBeacon().draw(window, 0));
      case 'commit':
        return this.state.challengeBody(window, await testBeacon().draw(window, 1));
      case 'opening':
        return this.state.foldBody(window, (rho) => rho);
      case 'prove':
        return this.#verdict(state, rejections);
      case 'done':
        throw new Error(`window ${window} is done`);
    }
  }

  /** The entry of a body of the verifier's. */
  closing(body: CloserBody): LedgerEntry {
    const phase = ({ open: 'enrol', challenge: 'commit', fold: 'opening', verdict: 'prove' } as const)[
      body.type
    ];
    return { window: body.window, phase, view: 0, author: KEYS.verifier.address, body };
  }

  /** Closes a window's present phase, and signs a head. */
  async close(window: number, rejections: Partial<Record<Hex, Rejection>> = {}): Promise<CloserBody> {
    const body = await this.closer(window, rejections);
    this.append(this.closing(body));
    this.ledger.putHead(this.signedHead());
    return body;
  }

  /** Runs a window in which both miners deliver everything. */
  async run(window: number): Promise<void> {
    for (const miner of [this.miner, this.other]) this.take(miner.enrol(window));
    await this.close(window);
    for (const miner of [this.miner, this.other]) this.take(miner.commit(window));
    await this.close(window);
    for (const miner of [this.miner, this.other]) this.take(miner.opening(window));
    await this.close(window);
    for (const miner of [this.miner, this.other]) {
      for (const part of [0, 1]) this.take(miner.proof(window, part));
    }
    await this.close(window);
  }

  #verdict(state: WindowState, rejections: Partial<Record<Hex, Rejection>>): VerdictBody {
    const results = state.enrolments.miners().map((miner): MinerResult => {
      const rejection = rejections[miner] ?? null;
      return {
        miner,
        slots: state.slots(miner),
        trained: rejection === null,
        credit: rejection === null ? this.state.credits(state)(miner) : 0,
        rejection: rejection as MinerResult['rejection'],
        meanReturn: 21.5,
        proofs: 2,
      };
    });
    const version = state.window + 1;
    return {
      type: 'verdict',
      window: state.window,
      results,
      rewardRoot: toHex(this.state.rewardRootAfter(results)),
      update: {
        version,
        policyRoot: named(`policy ${version}`),
        trainerStateRoot: named(`trainer ${version}`),
        patch: { hash: named(`patch ${version}`), bytes: 10 },
        anchor: null,
        fullBytes: 88,
        metrics: { loss: 0.5 },
      },
    };
  }

  async head(): Promise<TreeHead> {
    return this.signedHead();
  }

  signedHead(): TreeHead {
    const head = { treeSize: this.ledger.size, treeRoot: toHex(this.ledger.root()) };
    return signHead(this.state.domain, KEYS.verifier, {
      window: this.state.enrolWindow,
      phase: 'enrol',
      view: 0,
      ...head,
    });
  }

  async receipt(window: number, miner: Hex): Promise<Receipt> {
    for (const { index, entry } of this.ledger.range()) {
      if (entry.body.type !== 'verdict' || entry.window !== window) continue;
      const result = (entry.body as unknown as VerdictBody).results.find(
        (element) => element.miner === miner,
      );
      if (result === undefined) break;
      const value = {
        miner,
        window,
        view: 0,
        slots: result.slots,
        credit: result.credit,
        resultHash: toHex(sha256(canonicalBytes(result))),
        index,
        insecureDev: this.genesis.insecureDev,
      };
      const signature = KEYS.verifier.sign(attestationDigest(this.state.domain, 'receipt', value));
      return { ...value, result, verifier: KEYS.verifier.address, signature };
    }
    throw new GrailError('NOT_FOUND', `there is no verdict on ${miner} in window ${window}`, {
      window,
      miner,
    });
  }

  status(): NetworkStatus {
    const newest = this.state.versions.at(-1)!;
    return {
      genesisHash: toHex(this.state.genesisHash),
      insecureDev: this.genesis.insecureDev,
      size: this.state.size,
      policyVersion: newest.version,
      policyRoot: newest.policyRoot,
      trainerStateRoot: newest.trainerStateRoot,
      verdicts: this.state.nextVerdict,
      finished: false,
      evaluation: null,
      windows: [...this.state.windows.values()].map((state) => ({
        window: state.window,
        phase: state.phase,
        policyVersion: state.open?.policyVersion ?? null,
        enrolled: state.enrolments.counted().length,
        slots: state.enrolments.counted().reduce((sum, { miner }) => sum + state.slots(miner), 0),
        pending: this.state.pending(state).length,
      })),
    };
  }
}
