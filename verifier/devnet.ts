import { randomBytes } from 'node:crypto';
import { TRAINING_WASM_SHA256 } from '../src/backends/index.ts';
import { type AlgorithmParams, type Genesis, genesisHash, parseGenesis } from '../src/params/genesis.ts';
import { recipe } from '../src/params/recipes.ts';
import { GUMBEL_TABLE_SHA256 } from '../src/policy/gumbel.ts';
import { policyRoot } from '../src/policy/snapshot.ts';
import { type ArtefactOptions, loadVerificationKey } from '../src/proofs/artefacts.ts';
import { generateCircuit } from '../src/proofs/circuit.ts';
import { type KeyFile, readKeyFile } from '../src/proofs/key-file.ts';
import type { CircuitSpec } from '../src/proofs/types.ts';
import { LocalBeacon } from '../src/protocol/beacon.ts';
import { type Hex, toHex, u32, u64 } from '../src/protocol/bytes.ts';
import { GrailError } from '../src/protocol/errors.ts';
import { sha256, tag } from '../src/protocol/hash.ts';
import { Identity } from '../src/protocol/identity.ts';
import { encodePolicyAnchor } from '../src/pulse/index.ts';
import { initialise, trainerStateRoot } from '../src/training/index.ts';

/** What a devnet is made from. */
export interface DevnetOptions {
  /** Makes the whole network reproducible, keys and challenges included; null draws secrets at random. */
  readonly seed: number | null;
  /** Miners that genesis lists; their keys are in the result. */
  readonly miners: number;
  /** CartPole when absent. */
  readonly environment?: string;
  /** PPO when absent. */
  readonly algorithm?: AlgorithmParams['name'];
  readonly stepsPerSlot?: number;
  readonly lag?: number;
  readonly artefacts?: ArtefactOptions;
  /** A key file whose key genesis shall pin, of this network's circuit; a development key when absent. */
  readonly keyFile?: string;
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
  /** The key file that was asked for. */
  readonly keyFile: KeyFile | null;
}

/** What a development network trains unless told otherwise. */
export const DEVNET_ENVIRONMENT = 'CartPole-v1';

/**
 * Makes the genesis of a development network that trains an environment by its recipe: development keys, a local beacon,
 * no chain. Nothing about it is secure, and it says so wherever it shows.
 * @throws GrailError GENESIS_INVALID when the environment has no recipe for the algorithm
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
  const settings = recipe(options.environment ?? DEVNET_ENVIRONMENT, options.algorithm ?? 'ppo');
  const { architecture, quantiser, algorithm, groupSize, stepsPerProof } = settings;
  const initialSeed = toHex(secret('initial'));
  const { policy, state } = initialise({ architecture, quantiser, algorithm, groupSize, initialSeed });
  const anchor = encodePolicyAnchor(policy);
  const spec: CircuitSpec = { architecture, stepsPerProof, variant: 'folds' };
  const keyFile = options.keyFile === undefined ? null : await readKeyOf(spec, options.keyFile);
  const key = keyFile ?? (await loadVerificationKey(spec, options.artefacts));
  const genesis = parseGenesis({
    protocolVersion: 1,
    name: options.seed === null ? 'devnet' : `devnet-${options.seed}`,
    chainId: 0,
    insecureDev: true,
    environment: settings.environment,
    architecture,
    quantiser,
    algorithm,
    initialSeed,
    initialPolicyRoot: toHex(policyRoot(policy)),
    initialTrainerStateRoot: toHex(trainerStateRoot(state)),
    initialAnchor: toHex(sha256(anchor)),
    stepsPerSlot: options.stepsPerSlot ?? settings.stepsPerSlot,
    groupSize,
    stepsPerProof,
    challengesPerMiner: settings.challengesPerMiner,
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
  return {
    genesis,
    genesisHash: genesisHash(genesis),
    verifierKey,
    minerKeys,
    beaconSecrets,
    anchor,
    keyFile,
  };
}

/** @throws GrailError KEY_MISMATCH when the file's key is of another circuit than the network's */
async function readKeyOf(spec: CircuitSpec, path: string): Promise<KeyFile> {
  const file = await readKeyFile(path);
  const { name } = generateCircuit(spec);
  if (file.circuit === name) return file;
  throw new GrailError('KEY_MISMATCH', `${path} is the key of another circuit than this network's`, {
    expected: name,
    got: file.circuit,
  });
}
