import { randomBytes } from 'node:crypto';
import { TRAINING_WASM_SHA256 } from '../src/backends/index.ts';
import { environmentById } from '../src/environments/index.ts';
import {
  type Genesis,
  genesisHash,
  type PpoParams,
  parseGenesis,
  type QuantiserParams,
} from '../src/params/genesis.ts';
import { GUMBEL_TABLE_SHA256 } from '../src/policy/gumbel.ts';
import { buildMlp } from '../src/policy/quantiser.ts';
import { policyRoot } from '../src/policy/snapshot.ts';
import { type ArtefactOptions, loadVerificationKey } from '../src/proofs/artefacts.ts';
import { LocalBeacon } from '../src/protocol/beacon.ts';
import { type Hex, toHex, u32, u64 } from '../src/protocol/bytes.ts';
import { sha256, tag } from '../src/protocol/hash.ts';
import { Identity } from '../src/protocol/identity.ts';
import { encodeAnchor } from '../src/pulse/index.ts';
import { initialise, trainerStateRoot } from '../src/training/index.ts';

/** What a devnet is made from. */
export interface DevnetOptions {
  /** Makes the whole network reproducible, keys and challenges included; null draws secrets at random. */
  readonly seed: number | null;
  /** Miners that genesis lists; their keys are in the result. */
  readonly miners: number;
  readonly stepsPerSlot?: number;
  readonly lag?: number;
  readonly artefacts?: ArtefactOptions;
}

/** A new network and everything secret about it. */
export interface Devnet {
  readonly genesis: Genesis;
  readonly genesisHash: Uint8Array;
  /** 32 bytes each. */
  readonly verifierKey: Uint8Array;
  readonly minerKeys: readonly Uint8Array[];
  readonly beaconSecrets: readonly [Uint8Array, Uint8Array];
  /** The blob that holds policy 0. */
  readonly anchor: Uint8Array;
}

const QUANTISER: QuantiserParams = {
  observationBits: 6,
  activationBits: 5,
  weightBits: [4, 4, 6],
  hysteresis: 0.75,
};

const HIDDEN = [32, 32];

const PPO: PpoParams = {
  name: 'ppo',
  learningRate: 1e-3,
  adamEpsilon: 1e-5,
  epochs: 10,
  minibatch: 256,
  clip: 0.2,
  gamma: 0.99,
  lambda: 0.95,
  maxGradientNorm: 0.5,
  entropyBonus: 0,
  importanceCap: 2,
  criticHidden: [64, 64],
};

/**
 * Makes the genesis of a development network that trains CartPole: development keys, a local beacon, no chain. Nothing
 * about it is secure, and it says so wherever it shows.
 */
export async function makeDevnet(options: DevnetOptions): Promise<Devnet> {
  const secret = (name: string, index = 0): Uint8Array =>
    options.seed === null
      ? new Uint8Array(randomBytes(32))
      : sha256(tag(`devnet/${name}`), u64(options.seed), u32(index));
  const verifierKey = secret('verifier');
  const minerKeys = Array.from({ length: options.miners }, (_, index) => secret('miner', index));
  const beaconSecrets = [secret('beacon', 0), secret('beacon', 1)] as const;
  const beacon = new LocalBeacon(beaconSecrets);
  const environment = environmentById('CartPole-v1');
  const architecture = buildMlp({
    observation: environment.observation,
    hidden: HIDDEN,
    actions: environment.actions,
    quantiser: QUANTISER,
  });
  const initialSeed = toHex(secret('initial'));
  const { policy, state } = initialise({ architecture, quantiser: QUANTISER, algorithm: PPO, initialSeed });
  const anchor = encodeAnchor(policy);
  const stepsPerProof = 8;
  const key = await loadVerificationKey({ architecture, stepsPerProof, variant: 'folds' }, options.artefacts);
  const genesis = parseGenesis({
    protocolVersion: 1,
    name: options.seed === null ? 'devnet' : `devnet-${options.seed}`,
    chainId: 0,
    insecureDev: true,
    environment: environment.id,
    architecture,
    quantiser: QUANTISER,
    algorithm: PPO,
    initialSeed,
    initialPolicyRoot: toHex(policyRoot(policy)),
    initialTrainerStateRoot: toHex(trainerStateRoot(state)),
    initialAnchor: toHex(sha256(anchor)),
    stepsPerSlot: options.stepsPerSlot ?? 256,
    groupSize: 1,
    stepsPerProof,
    challengesPerMiner: 8,
    lag: options.lag ?? 1,
    maxSlots: 256,
    anchorEvery: 16,
    emission: 1_000_000_000,
    rate: 10_000_000,
    coolDown: 3,
    beacon: { kind: 'local', ends: [toHex(beacon.ends[0]), toHex(beacon.ends[1])] },
    miners: minerKeys.map((minerKey) => new Identity(minerKey).address).sort(),
    verifiers: [{ address: new Identity(verifierKey).address, power: 1 }],
    proof: { variant: 'folds', verificationKeys: { folds: key.verificationKeyHash as Hex, digest: null } },
    gumbelTable: GUMBEL_TABLE_SHA256,
    trainingWasm: TRAINING_WASM_SHA256,
    parent: null,
  });
  return { genesis, genesisHash: genesisHash(genesis), verifierKey, minerKeys, beaconSecrets, anchor };
}
