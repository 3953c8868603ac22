import { loadBackend, selfTest } from '../../src/backends/index.ts';
import { environmentById, evaluate } from '../../src/environments/index.ts';
import { type Genesis, genesisHash } from '../../src/params/genesis.ts';
import type { Policy } from '../../src/policy/architecture.ts';
import { policyRoot } from '../../src/policy/snapshot.ts';
import { createVerifier, type ProofVerifier, type VerificationKey } from '../../src/proofs/verify.ts';
import { bytesToBig, fromHex, type Hex, toHex } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { networkHash, sha256 } from '../../src/protocol/hash.ts';
import { decodePolicyAnchor } from '../../src/pulse/index.ts';
import { CommitChecker } from '../../src/replica/check.ts';
import { trainWindow } from '../../src/replica/train-window.ts';
import { createTrainer, type Trainer } from '../../src/training/index.ts';
import type { JobKind } from '../bus/bus.ts';
import {
  evaluateJobSchema,
  fromJob,
  type PolicyRef,
  proofsJobSchema,
  type ReplayResult,
  replayJobSchema,
  type TrainResult,
  toJob,
  toOpening,
  trainJobSchema,
} from './formats.ts';
import { decodeRollouts, encodeRollouts } from './rollout-bytes.ts';

/** Decoded policies that are kept: those of a window, and of the one before it. */
const KEPT_POLICIES = 12;

/** What a job is computed from. */
export interface Computation {
  readonly kind: JobKind;
  readonly payload: Uint8Array;
  /** The blobs that the payload names, by hash. */
  readonly blobs: ReadonlyMap<Hex, Uint8Array>;
}

export interface Computed {
  readonly result: Uint8Array;
  /** Blobs that the result names. */
  readonly blobs: readonly Uint8Array[];
}

/** Blobs that a job needs. @throws GrailError BAD_REQUEST */
export function neededBlobs(kind: JobKind, payload: Uint8Array): Hex[] {
  switch (kind) {
    case 'replay': {
      const { policy, earlier } = fromJob(replayJobSchema, payload);
      return [policy, ...earlier].map(({ hash }) => hash);
    }
    case 'train': {
      const { base, behaviour, trainerState, accepted } = fromJob(trainJobSchema, payload);
      return [...new Set([base.hash, behaviour.hash, trainerState, ...accepted])];
    }
    case 'evaluate':
      return [fromJob(evaluateJobSchema, payload).policy.hash];
    case 'proofs':
      return [];
  }
}

/** Everything expensive that a verifier computes, in a thread: the same bytes for the same job on any machine. */
export class Compute {
  readonly #genesis: Genesis;
  readonly #key: VerificationKey;
  readonly #policies = new Map<Hex, Policy>();
  #checker: Promise<CommitChecker> | null = null;
  #trainer: Promise<Trainer> | null = null;
  #proofs: Promise<ProofVerifier> | null = null;

  constructor(genesis: Genesis, key: VerificationKey) {
    this.#genesis = genesis;
    this.#key = key;
  }

  /** @throws GrailError BAD_REQUEST for a malformed job; what the computation throws */
  async compute(computation: Computation): Promise<Computed> {
    switch (computation.kind) {
      case 'replay':
        return this.#replay(computation);
      case 'train':
        return this.#train(computation);
      case 'proofs':
        return this.#check(computation);
      case 'evaluate':
        return this.#evaluate(computation);
    }
  }

  async #replay({ payload, blobs }: Computation): Promise<Computed> {
    const job = fromJob(replayJobSchema, payload);
    this.#checker ??= this.#makeChecker();
    const checker = await this.#checker;
    const window = {
      window: job.window,
      windowSeed: fromHex(job.windowSeed),
      challengeSeed: fromHex(job.challengeSeed),
    };
    const earlier = job.earlier.map((ref) => this.#policy(ref, blobs));
    const { judgement, accepted } = checker.check(
      window,
      this.#policy(job.policy, blobs),
      earlier,
      job.commit,
    );
    const rollouts = accepted === null ? null : encodeRollouts(accepted);
    const result: ReplayResult = {
      rejection: judgement.rejection,
      meanReturn: judgement.meanReturn,
      opening: judgement.opening === null ? null : toOpening(judgement.opening),
      rollouts: rollouts === null ? null : toHex(sha256(rollouts)),
    };
    return { result: toJob(result), blobs: rollouts === null ? [] : [rollouts] };
  }

  async #train({ payload, blobs }: Computation): Promise<Computed> {
    const job = fromJob(trainJobSchema, payload);
    this.#trainer ??= createTrainer(this.#genesis);
    const trained = trainWindow(this.#genesis, await this.#trainer, {
      window: job.window,
      policyVersion: job.policyVersion,
      commitPhaseRoot: fromHex(job.commitPhaseRoot),
      base: this.#policy(job.base, blobs),
      behaviour: this.#policy(job.behaviour, blobs),
      trainerState: blobOf(blobs, job.trainerState),
      debt: job.debt,
      accepted: job.accepted.map((hash) => decodeRollouts(blobOf(blobs, hash))),
    });
    const { update, patch, anchor, trainerState, debt } = trained;
    const result: TrainResult = { update, trainerState: toHex(sha256(trainerState)), debt };
    return { result: toJob(result), blobs: [patch, trainerState, ...(anchor === null ? [] : [anchor])] };
  }

  async #check({ payload }: Computation): Promise<Computed> {
    const { shared, proofs } = fromJob(proofsJobSchema, payload);
    this.#proofs ??= createVerifier(this.#key);
    const rest = shared.map((value) => bytesToBig(fromHex(value)));
    const errors = await (await this.#proofs).verifyMany(
      proofs.map(({ first, proof }) => ({
        publicSignals: [bytesToBig(fromHex(first)), ...rest],
        proof: fromHex(proof),
      })),
    );
    return { result: toJob(errors.map((error) => error?.toJSON() ?? null)), blobs: [] };
  }

  async #evaluate({ payload, blobs }: Computation): Promise<Computed> {
    const { policy: ref, episodes } = fromJob(evaluateJobSchema, payload);
    const policy = this.#policy(ref, blobs);
    const { meanReturn } = evaluate({
      policy,
      environment: environmentById(this.#genesis.environment),
      // Episodes of their own for every policy.
      seed: networkHash('evaluation', genesisHash(this.#genesis), policyRoot(policy)),
      episodes,
    });
    return { result: toJob({ meanReturn }), blobs: [] };
  }

  async #makeChecker(): Promise<CommitChecker> {
    const backend = await loadBackend('simd');
    await selfTest(backend, this.#genesis.architecture);
    return new CommitChecker(this.#genesis, backend);
  }

  /** The same object for the same policy: what is loaded into the backend stays there. */
  #policy({ hash, root }: PolicyRef, blobs: ReadonlyMap<Hex, Uint8Array>): Policy {
    const name: Hex = `${hash}${root.slice(2)}`;
    const policy =
      this.#policies.get(name) ??
      decodePolicyAnchor(blobOf(blobs, hash), fromHex(root), this.#genesis.architecture);
    this.#policies.delete(name);
    this.#policies.set(name, policy);
    if (this.#policies.size > KEPT_POLICIES) this.#policies.delete(this.#policies.keys().next().value!);
    return policy;
  }
}

function blobOf(blobs: ReadonlyMap<Hex, Uint8Array>, hash: Hex): Uint8Array {
  const bytes = blobs.get(hash);
  if (bytes !== undefined) return bytes;
  throw new GrailError('BLOB_MISSING', 'a job came without a blob that it names', { hash });
}
