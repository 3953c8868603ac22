import { type AlgorithmParams, criticShapes } from '../params/genesis.ts';
import type { Architecture } from '../policy/architecture.ts';
import { GrailError } from '../protocol/errors.ts';
import { sha256, tag } from '../protocol/hash.ts';
import { merkleRoot } from '../protocol/merkle.ts';
import type { Optimised } from './adam.ts';
import { type NetworkLayout, networkLayout } from './layers.ts';

/**
 * Everything that training carries from one update to the next, besides the published policy. Its root stands in the
 * ledger beside policyRoot, and its encoding resumes to the bit.
 */
export interface TrainerState {
  /** Latents of the policy in real units, in the actor's layout. */
  readonly actor: Optimised;
  /** The float critic, in the critic's layout; without parameters where the algorithm has none. */
  readonly critic: Optimised;
  /** Updates that were applied: windows without data or with a discarded update do not count. */
  readonly updates: number;
  /** Adam steps of each network. */
  readonly adamSteps: number;
}

const VERSION = 1;
/** version, actor size, critic size (u32); updates, adamSteps (u64); four running products (f64). */
const HEADER_BYTES = 3 * 4 + 2 * 8 + 4 * 8;
const CHUNK_BYTES = 65_536;

/** Layout of the actor's latents: the policy's layers. */
export function actorLayout(architecture: Architecture): NetworkLayout {
  return networkLayout(architecture.layers);
}

/** Layout of the critic: observation, hidden layers, one value. GRPO has none: a layout of no layers. */
export function criticLayout(architecture: Architecture, params: AlgorithmParams): NetworkLayout {
  return networkLayout(criticShapes(architecture, params));
}

const vectors = ({ actor, critic }: TrainerState) => [
  actor.values,
  actor.m,
  actor.v,
  critic.values,
  critic.m,
  critic.v,
];

/**
 * The canonical encoding (docs/PROTOCOL.md, Trainer state), little-endian: u32 version = 1, u32 actor parameters, u32
 * critic parameters, u64 updates, u64 adamSteps, f64 β₁ᵗ and β₂ᵗ of the actor, the same of the critic, then float32
 * values, m, v of the actor and values, m, v of the critic.
 */
export function encodeTrainerState(state: TrainerState): Uint8Array {
  const { actor, critic } = state;
  const floats = vectors(state);
  const size = floats.reduce((sum, vector) => sum + 4 * vector.length, HEADER_BYTES);
  const view = new DataView(new ArrayBuffer(size));
  view.setUint32(0, VERSION, true);
  view.setUint32(4, actor.values.length, true);
  view.setUint32(8, critic.values.length, true);
  view.setBigUint64(12, BigInt(state.updates), true);
  view.setBigUint64(20, BigInt(state.adamSteps), true);
  const powers = [actor.beta1Power, actor.beta2Power, critic.beta1Power, critic.beta2Power];
  for (const [i, power] of powers.entries()) view.setFloat64(28 + 8 * i, power, true);
  let at = HEADER_BYTES;
  for (const vector of floats) {
    for (const value of vector) {
      view.setFloat32(at, value, true);
      at += 4;
    }
  }
  return new Uint8Array(view.buffer);
}

/**
 * Decodes a trainer state; `encodeTrainerState` of the result gives the same bytes.
 * @throws GrailError TRAINER_STATE_INVALID when version, sizes or length are not those of the architecture, or a value
 * is not one that training can leave behind (not finite, a negative second moment, a product outside [0, 1]).
 */
export function decodeTrainerState(
  architecture: Architecture,
  params: AlgorithmParams,
  bytes: Uint8Array,
): TrainerState {
  const actorSize = actorLayout(architecture).size;
  const criticSize = criticLayout(architecture, params).size;
  const expected = HEADER_BYTES + 12 * (actorSize + criticSize);
  requireThat(bytes.length === expected, 'length', expected, bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  requireThat(view.getUint32(0, true) === VERSION, 'version', VERSION, view.getUint32(0, true));
  requireThat(view.getUint32(4, true) === actorSize, 'actor', actorSize, view.getUint32(4, true));
  requireThat(view.getUint32(8, true) === criticSize, 'critic', criticSize, view.getUint32(8, true));

  const count = (offset: number, field: string) => {
    const value = view.getBigUint64(offset, true);
    requireThat(value <= BigInt(Number.MAX_SAFE_INTEGER), field, 'below 2^53', value.toString());
    return Number(value);
  };
  const power = (index: number) => {
    const value = view.getFloat64(28 + 8 * index, true);
    requireThat(value >= 0 && value <= 1 && !Object.is(value, -0), 'beta power', '0 to 1', String(value));
    return value;
  };
  let at = HEADER_BYTES;
  const vector = (size: number, field: string, least: number) => {
    const out = new Float32Array(size);
    for (let i = 0; i < size; i++, at += 4) {
      const value = view.getFloat32(at, true);
      requireThat(Number.isFinite(value) && value >= least, `${field}[${i}]`, 'finite', String(value));
      out[i] = value;
    }
    return out;
  };
  const network = (size: number, field: string, first: number): Optimised => ({
    values: vector(size, `${field}.values`, -Infinity),
    m: vector(size, `${field}.m`, -Infinity),
    v: vector(size, `${field}.v`, 0),
    beta1Power: power(first),
    beta2Power: power(first + 1),
  });
  return {
    updates: count(12, 'updates'),
    adamSteps: count(20, 'adamSteps'),
    actor: network(actorSize, 'actor', 0),
    critic: network(criticSize, 'critic', 2),
  };
}

/** trainerStateRoot: SHA-256(tag("trainer-state") ‖ RFC 6962 root of the encoding in 64 KiB chunks). 32 bytes. */
export function trainerStateRoot(state: TrainerState): Uint8Array {
  return trainerStateRootOfBytes(encodeTrainerState(state));
}

/** The root of an encoded trainer state, 32 bytes. */
export function trainerStateRootOfBytes(bytes: Uint8Array): Uint8Array {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) chunks.push(bytes.subarray(at, at + CHUNK_BYTES));
  return sha256(tag('trainer-state'), merkleRoot(chunks));
}

function requireThat(holds: boolean, field: string, expected: number | string, got: number | string): void {
  if (holds) return;
  throw new GrailError('TRAINER_STATE_INVALID', `trainer state: ${field} is wrong`, { field, expected, got });
}
