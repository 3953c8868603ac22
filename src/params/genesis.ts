import { z } from 'zod';
import { environmentById } from '../environments/index.ts';
import {
  type Architecture,
  architectureSchema,
  hiddenLayerSchema,
  type LayerShape,
  layerOutputs,
  layerShapes,
  observationShape,
  trainingValues,
  weightCount,
} from '../policy/architecture.ts';
import { GUMBEL_TABLE_SHA256 } from '../policy/gumbel.ts';
import { checkShifts } from '../policy/quantiser.ts';
import { packedBytes } from '../protocol/actions.ts';
import { canonicalBytes } from '../protocol/canonical.ts';
import { GrailError } from '../protocol/errors.ts';
import { sha256, tag } from '../protocol/hash.ts';
import {
  MAX_ACTION_BYTES,
  MAX_LAYER_WEIGHTS,
  MAX_MINIBATCH_VALUES,
  MAX_OBSERVATION_BYTES,
  MAX_PROOF_ACCUMULATORS,
  MAX_ROLLOUT_BYTES,
} from './constants.ts';

const hex = (bytes: number) =>
  z
    .string()
    .regex(new RegExp(`^0x[0-9a-f]{${2 * bytes}}$`), `expected ${bytes} bytes as lower-case 0x hex`)
    .transform((value) => value as `0x${string}`);

export const hash32Schema = hex(32);
/** A 20-byte address in lower case; checksums are for people, not for hashes. */
export const addressSchema = hex(20);

/** Fixed exponents of the quantiser (docs/PROTOCOL.md, Quantiser). Real value = integer / 2^exponent. */
export const quantiserSchema = z.strictObject({
  /** Exponent of observations. */
  observationBits: z.int().min(0).max(16),
  /** Exponent of hidden activations. */
  activationBits: z.int().min(0).max(16),
  /** Exponent of each layer's weights. */
  weightBits: z.array(z.int().min(0).max(16)).min(1).max(16),
  /** A published weight moves only when its latent is further than this from it, in integer steps. */
  hysteresis: z.number().min(0.5).max(1),
});

/** What every algorithm optimises with. */
const optimisation = {
  learningRate: z.number().positive().max(1),
  adamEpsilon: z.number().positive().max(1),
  epochs: z.int().min(1).max(100),
  minibatch: z.int().min(1).max(65_536),
  maxGradientNorm: z.number().positive(),
  entropyBonus: z.number().min(0).max(1),
  /** The largest weight that a stale action may have: π_now / π_then is truncated to it. */
  importanceCap: z.number().min(1).max(1000),
};

/** PPO as in CleanRL, with a separate float critic. */
export const ppoSchema = z.strictObject({
  name: z.literal('ppo'),
  ...optimisation,
  clip: z.number().positive().max(1),
  gamma: z.number().min(0).max(1),
  lambda: z.number().min(0).max(1),
  /** The critic's layers before its value; convolutions need an architecture that begins with one. */
  criticHidden: z.array(hiddenLayerSchema).min(1).max(8),
});

/** Group-relative policy optimisation: no critic. */
export const grpoSchema = z.strictObject({
  name: z.literal('grpo'),
  ...optimisation,
  /** Ratios are clipped to [1 − clipLow, 1 + clipHigh]. */
  clipLow: z.number().positive().max(1),
  clipHigh: z.number().positive().max(10),
  /** Whether a group's advantages are divided by the standard deviation of its returns. */
  scaleByDeviation: z.boolean(),
});

export const algorithmSchema = z.discriminatedUnion('name', [ppoSchema, grpoSchema]);

export const genesisSchema = z.strictObject({
  protocolVersion: z.literal(1),
  /** A label for people; part of the hash. */
  name: z
    .string()
    .min(1)
    .max(64)
    .regex(/^\P{Surrogate}+$/u, 'half a surrogate pair is no character'),
  chainId: z.int().min(0),
  /** Every receipt and audit of such a network repeats that its keys and beacon are not secure. */
  insecureDev: z.boolean(),
  environment: z.string().min(1).max(64),
  architecture: architectureSchema,
  quantiser: quantiserSchema,
  algorithm: algorithmSchema,
  /** Seed of the initial policy, critic and trainer: policy 0 is recomputed, never trusted. */
  initialSeed: hash32Schema,
  initialPolicyRoot: hash32Schema,
  initialTrainerStateRoot: hash32Schema,
  /** SHA-256 of the anchor blob that holds policy 0. */
  initialAnchor: hash32Schema,
  /** T: steps of a slot. */
  stepsPerSlot: z.int().min(1).max(1_048_576),
  /** G: slots of a group, which share their start states. */
  groupSize: z.int().min(1).max(1024),
  /** B: steps that one proof covers. */
  stepsPerProof: z.int().min(1).max(64),
  challengesPerMiner: z.int().min(1).max(4096),
  lag: z.int().min(0).max(8),
  maxSlots: z.int().min(1).max(65_536),
  /** Versions after which an anchor (a whole policy) follows at the latest. */
  anchorEvery: z.int().min(1).max(65_536),
  /** E: the most that a window credits, in base units. */
  emission: z.int().min(0),
  /** The most that one slot is credited, in base units. */
  rate: z.int().min(0),
  /** Windows for which a miner that lost its bond may not enrol, on a network without a chain. */
  coolDown: z.int().min(0).max(65_536),
  beacon: z.strictObject({
    kind: z.literal('local'),
    /** Ends of the two hash chains: one for beacon₀, one for beacon₁. */
    ends: z.tuple([hash32Schema, hash32Schema]),
  }),
  /** Miners that may enrol from window 0, sorted by address. */
  miners: z.array(addressSchema).max(65_536),
  verifiers: z
    .array(z.strictObject({ address: addressSchema, power: z.int().min(1) }))
    .min(1)
    .max(1024),
  /** Which proof variant the network uses, and SHA-256 of the canonical verification key of each. */
  proof: z.strictObject({
    variant: z.enum(['folds', 'digest']),
    verificationKeys: z.strictObject({ folds: hash32Schema, digest: hash32Schema.nullable() }),
  }),
  /** SHA-256 of the Gumbel table and of the TensorFlow.js wasm binary that trains. */
  gumbelTable: hash32Schema,
  trainingWasm: hash32Schema,
  /** Genesis hash of the network that this one forked from. */
  parent: hash32Schema.nullable(),
});

export type QuantiserParams = z.infer<typeof quantiserSchema>;
export type PpoParams = z.infer<typeof ppoSchema>;
export type GrpoParams = z.infer<typeof grpoSchema>;
export type AlgorithmParams = z.infer<typeof algorithmSchema>;
export type Genesis = z.infer<typeof genesisSchema>;

/**
 * Parses and checks a genesis document.
 * @throws GrailError GENESIS_INVALID naming the first field that is wrong.
 */
export function parseGenesis(value: unknown): Genesis {
  const result = genesisSchema.safeParse(value);
  if (!result.success) {
    const issue = result.error.issues[0]!;
    throw new GrailError(
      'GENESIS_INVALID',
      `genesis: ${issue.path.join('.') || 'document'}: ${issue.message}`,
      {
        path: issue.path.map(String),
      },
    );
  }
  const genesis = result.data;
  const invalid = (message: string) => new GrailError('GENESIS_INVALID', `genesis: ${message}`);
  if (genesis.quantiser.weightBits.length !== genesis.architecture.layers.length) {
    throw invalid('quantiser.weightBits needs one exponent a layer');
  }
  if (genesis.maxSlots % genesis.groupSize !== 0) throw invalid('maxSlots is not a multiple of groupSize');
  if (genesis.algorithm.name === 'ppo' && genesis.groupSize !== 1) throw invalid('PPO needs groupSize 1');
  if (genesis.challengesPerMiner % genesis.stepsPerProof !== 0) {
    throw invalid('challengesPerMiner is not a multiple of stepsPerProof');
  }
  if (genesis.challengesPerMiner > genesis.groupSize * genesis.stepsPerSlot) {
    throw invalid('challengesPerMiner exceeds the steps of one group');
  }
  for (let i = 1; i < genesis.miners.length; i++) {
    if (genesis.miners[i - 1]! >= genesis.miners[i]!) throw invalid('miners are not sorted or repeat');
  }
  if (new Set(genesis.verifiers.map(({ address }) => address)).size !== genesis.verifiers.length) {
    throw invalid('a verifier repeats');
  }
  if (genesis.proof.verificationKeys[genesis.proof.variant] === null) {
    throw invalid(`proof.verificationKeys has no key of the variant ${genesis.proof.variant}`);
  }
  if (genesis.gumbelTable !== GUMBEL_TABLE_SHA256) {
    throw invalid(`gumbelTable is not the table of this protocol, ${GUMBEL_TABLE_SHA256}`);
  }
  checkFit(genesis, invalid);
  return genesis;
}

/** What the parts of a genesis must agree on, so that an honest miner can take part and be paid. */
function checkFit(genesis: Genesis, invalid: (message: string) => GrailError): void {
  const { architecture } = genesis;
  const { id, observation, actions, maxEpisodeSteps } = environmentById(genesis.environment);
  if (architecture.observation !== observation || architecture.actions !== actions) {
    throw invalid(`${id} has ${observation} observed values and ${actions} actions, the architecture others`);
  }
  checkShifts(genesis);
  checkNetworks(genesis, invalid);
  if (genesis.algorithm.name === 'grpo') {
    if (genesis.groupSize < 2)
      throw invalid('GRPO compares the slots of a group: groupSize must be 2 or more');
    if (maxEpisodeSteps === null || maxEpisodeSteps > genesis.stepsPerSlot) {
      throw invalid(`GRPO trains on whole episodes, and ${id}'s may be longer than stepsPerSlot`);
    }
  }
  if (packedBytes(genesis.maxSlots * genesis.stepsPerSlot, actions) > MAX_ACTION_BYTES) {
    throw invalid(`maxSlots · stepsPerSlot actions take more than the ${MAX_ACTION_BYTES} bytes of a commit`);
  }
  // Observations, logits, and what else a step has: action, reward, ends.
  const rolloutBytes = genesis.maxSlots * genesis.stepsPerSlot * (observation + 4 * actions + 16);
  if (rolloutBytes > MAX_ROLLOUT_BYTES) {
    throw invalid(
      `maxSlots · stepsPerSlot: a miner's rollouts may take ${rolloutBytes} bytes, more than ${MAX_ROLLOUT_BYTES}`,
    );
  }
  const accumulators = architecture.layers.reduce((sum, layer) => sum + layerOutputs(layer), 0);
  if (genesis.stepsPerProof * accumulators > MAX_PROOF_ACCUMULATORS) {
    throw invalid(
      `stepsPerProof: a proof of ${genesis.stepsPerProof} steps covers more than ${MAX_PROOF_ACCUMULATORS} accumulators`,
    );
  }
  if (genesis.challengesPerMiner * observation > MAX_OBSERVATION_BYTES) {
    throw invalid(
      `the challenged observations take more than the ${MAX_OBSERVATION_BYTES} bytes of an opening`,
    );
  }
}

/** The critic's layers: what `criticHidden` names, then one value. GRPO has none. */
export function criticShapes(architecture: Architecture, algorithm: AlgorithmParams): LayerShape[] {
  if (algorithm.name !== 'ppo') return [];
  return layerShapes(observationShape(architecture), [...algorithm.criticHidden, 1]);
}

/**
 * Whether the networks can be trained: a critic with convolutions reads the observation as the architecture's first layer
 * does, and a minibatch fits the trainer's memory.
 */
function checkNetworks({ algorithm, architecture }: Genesis, invalid: (message: string) => GrailError): void {
  let critic: LayerShape[];
  try {
    critic = criticShapes(architecture, algorithm);
  } catch (error) {
    if (!(error instanceof GrailError)) throw error;
    throw invalid(`algorithm.criticHidden: ${error.message}`);
  }
  const large = critic.findIndex((layer) => weightCount(layer) > MAX_LAYER_WEIGHTS);
  if (large >= 0) {
    throw invalid(`algorithm.criticHidden: layer ${large} has more than ${MAX_LAYER_WEIGHTS} weights`);
  }
  const values = algorithm.minibatch * trainingValues([...architecture.layers, ...critic]);
  if (values > MAX_MINIBATCH_VALUES) {
    throw invalid(
      `algorithm.minibatch: an update of it takes ${values} values, more than ${MAX_MINIBATCH_VALUES}: lower it`,
    );
  }
}

/** SHA-256(tag("genesis") ‖ canonical JSON): the network's name. 32 bytes. */
export function genesisHash(genesis: Genesis): Uint8Array {
  return sha256(tag('genesis'), canonicalBytes(genesis));
}
