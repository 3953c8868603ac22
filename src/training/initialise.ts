import type { AlgorithmParams, QuantiserParams } from '../params/genesis.ts';
import type { Architecture, Policy } from '../policy/architecture.ts';
import { fromHex } from '../protocol/bytes.ts';
import { sha256, tag } from '../protocol/hash.ts';
import { SEED_BYTES } from '../protocol/seeds.ts';
import { newOptimised } from './adam.ts';
import type { NetworkLayout } from './layers.ts';
import { Publisher } from './publish.ts';
import { type NextWord, wordStream } from './random.ts';
import { actorLayout, criticLayout, type TrainerState } from './state.ts';

/**
 * A normal deviate, closely: the sum of twelve uniforms less six (Irwin and Hall). It needs additions only, where Box
 * and Muller's needs log and cos, which are not the same functions everywhere.
 */
function normal(next: NextWord): number {
  let sum = 0;
  for (let i = 0; i < 12; i++) sum += (next() + 0.5) / 4294967296;
  return sum - 6;
}

/**
 * A random matrix whose rows (or columns, whichever are fewer) are orthogonal with norm `gain`: normal deviates, then
 * the modified Gram–Schmidt process in float64.
 * @returns `[out, in]` row-major
 */
export function orthogonal(next: NextWord, out: number, width: number, gain: number): Float32Array {
  const count = Math.min(out, width);
  const length = Math.max(out, width);
  const vectors: Float64Array[] = [];
  for (let i = 0; i < count; i++) {
    const vector = Float64Array.from({ length }, () => normal(next));
    for (const other of vectors) {
      let dot = 0;
      for (let j = 0; j < length; j++) dot += other[j]! * vector[j]!;
      for (let j = 0; j < length; j++) vector[j]! -= dot * other[j]!;
    }
    let squares = 0;
    for (const value of vector) squares += value * value;
    const norm = Math.sqrt(squares);
    for (let j = 0; j < length; j++) vector[j]! /= norm;
    vectors.push(vector);
  }
  const matrix = new Float32Array(out * width);
  for (let row = 0; row < out; row++) {
    for (let column = 0; column < width; column++) {
      const value = out <= width ? vectors[row]![column]! : vectors[column]![row]!;
      matrix[row * width + column] = gain * value;
    }
  }
  return matrix;
}

function orthogonalNetwork(next: NextWord, layout: NetworkLayout, lastGain: number): Float32Array {
  const values = new Float32Array(layout.size);
  const last = layout.layers.length - 1;
  for (const [index, layer] of layout.layers.entries()) {
    const gain = index < last ? Math.sqrt(2) : lastGain;
    values.set(orthogonal(next, layer.rows, layer.fanIn, gain), layer.weight);
  }
  return values;
}

/** What training depends on, besides its data: a genesis document has it all. */
export interface TrainingParams {
  readonly architecture: Architecture;
  readonly quantiser: QuantiserParams;
  readonly algorithm: AlgorithmParams;
  /** G: slots of a group, which share their start states. */
  readonly groupSize: number;
  /** 32 bytes as hex. */
  readonly initialSeed: string;
}

/** Gain of the policy's last layer: small, so that the first policy is close to uniform. */
const LOGITS_GAIN = 0.1;
/** Gain of the critic's last layer. */
const VALUE_GAIN = 1;

/**
 * Policy 0 and the trainer's first state. Orthogonal weights with gain √2 (last layers 0.1 and 1), biases zero,
 * moments zero. Actor and critic draw from separate streams, whose seeds are the first 16 bytes of
 * SHA-256(tag("training/actor") ‖ initialSeed) and of the same with tag "training/critic".
 */
export function initialise(params: TrainingParams): { policy: Policy; state: TrainerState } {
  const { architecture, quantiser, algorithm } = params;
  const seed = fromHex(params.initialSeed);
  const words = (name: string) => wordStream(sha256(tag(name), seed).slice(0, SEED_BYTES));
  const layout = actorLayout(architecture);
  const actor = orthogonalNetwork(words('training/actor'), layout, LOGITS_GAIN);
  const critic = orthogonalNetwork(
    words('training/critic'),
    criticLayout(architecture, algorithm),
    VALUE_GAIN,
  );
  const publisher = new Publisher(architecture, quantiser, layout);
  publisher.clip(actor);
  const layers = publisher.allocate();
  publisher.publish(actor, null, layers);
  return {
    policy: { architecture, layers },
    state: { actor: newOptimised(actor), critic: newOptimised(critic), updates: 0, adamSteps: 0 },
  };
}
