import type { QuantiserParams } from '../params/genesis.ts';
import type { Architecture, LayerTensors, Policy } from '../policy/architecture.ts';
import { transposed } from '../policy/matrices.ts';
import {
  applyLayer,
  columns,
  inputGradient,
  type Matrix,
  type NetworkLayout,
  parameterGradient,
  scaled,
  type Tensorflow,
} from './layers.ts';
import { Publisher } from './publish.ts';
import { actorLayout } from './state.ts';

/** A forward pass whose gradient can still be asked for, while its tensors live (inside one `tf.tidy`). */
export interface ForwardPass {
  /** `[batch, outputs]` float32. */
  readonly output: Matrix;
  /** Writes the gradient of every parameter, given that of the output, `[batch, outputs]`. */
  backward(dOutput: Matrix, gradient: Float32Array): void;
}

/**
 * The network that an algorithm differentiates, between its latents and its logits. The network's own is `exactActor`;
 * the comparison with float arithmetic gives another one (bench/float-actor.ts) to the same algorithms.
 */
export interface Actor {
  readonly layout: NetworkLayout;
  /** Makes the latents those that the next forward passes run. */
  set(latents: Float32Array): void;
  /** `[batch, observation]` integers as float32 to logits in nats, `[batch, actions]`. */
  forward(tf: Tensorflow, observations: Matrix): ForwardPass;
  /** Logits of another published policy as this actor computes them; absent where it cannot run one. */
  forwardOf?(tf: Tensorflow, policy: Policy, observations: Matrix): Matrix;
  /** Clips latents in place to what can be published. */
  clip(latents: Float32Array): void;
  /** The published policy of the latents that were set last. */
  published(): Policy;
}

/** Gives the actor of an update; `base` is the published policy that the update starts from. */
export type MakeActor = (
  params: { readonly architecture: Architecture; readonly quantiser: QuantiserParams },
  base: Policy,
) => Actor;

/** The exact policy: forward passes run the integers that would be published. */
export const exactActor: MakeActor = ({ architecture, quantiser }, base) => {
  const layout = actorLayout(architecture);
  const publisher = new Publisher(architecture, quantiser, layout);
  const integers = publisher.allocate();
  return {
    layout,
    set: (latents) => publisher.publish(latents, base.layers, integers),
    forward: (tf, observations) => exactForward(tf, architecture, quantiser, integers, layout, observations),
    forwardOf: (tf, policy, observations) =>
      exactForward(tf, architecture, quantiser, policy.layers, layout, observations).output,
    clip: (latents) => publisher.clip(latents),
    published: () => ({ architecture, layers: integers }),
  };
};

/**
 * The exact policy's forward pass on float32 tensors, with the straight-through gradient.
 *
 * Every value of the forward pass is the published integer times a power of two, hence exact: layers run on
 * integers divided by 2^shift with the rounding term inside the bias, so `z = y / 2^shift + 1/2` needs one fused
 * multiplication, and `floor` and `clip` give what the integer reference gives. Backwards, rounding counts as the
 * identity, so in real units (integer / 2^exponent) every factor is 1: a weight's gradient is that of an ordinary float
 * network. Only the clamp is differentiated: requantisation passes gradient where 0 < y < 127 · 2^shift, that is
 * 1/2 < z < 127 + 1/2.
 *
 * @param published the integers that run, layer by layer
 * @param layout places of the layers' parameters in the gradient vector
 * @param observations `[batch, observation]` integers in [-127, 127] as float32
 * @returns logits in nats, `[batch, actions]`: the integer logits / 2^10
 */
export function exactForward(
  tf: Tensorflow,
  architecture: Architecture,
  quantiser: QuantiserParams,
  published: readonly LayerTensors[],
  layout: NetworkLayout,
  observations: Matrix,
): ForwardPass {
  const last = architecture.layers.length - 1;
  const inputs: Matrix[] = [];
  const sums: Matrix[] = [];
  let x = observations;
  for (const [index, layer] of architecture.layers.entries()) {
    const place = layout.layers[index]!;
    const { weight, bias } = published[index]!;
    const unit = 1 / (1 << layer.shift);
    const input = columns(tf, place, x);
    const z = applyLayer(
      tf,
      place,
      input,
      tf.tensor2d(transposed(weight, place.rows, place.fanIn, unit), [place.fanIn, place.rows]),
      tf.tensor1d(Float32Array.from(bias, (b) => b * unit + 0.5)),
    );
    inputs.push(input);
    sums.push(z);
    const rounded = tf.floor(z);
    x = index < last ? tf.clipByValue(rounded, 0, 127) : rounded;
  }
  const output = tf.mul(x, 1 / 1024) as Matrix;

  const backward = (dOutput: Matrix, gradient: Float32Array) => {
    let d = dOutput;
    for (let index = last; index >= 0; index--) {
      const place = layout.layers[index]!;
      const inputBits = index === 0 ? quantiser.observationBits : quantiser.activationBits;
      parameterGradient(tf, place, d, inputs[index]!, 1 / (1 << inputBits), gradient);
      if (index === 0) break;
      const unit = 1 / (1 << quantiser.weightBits[index]!);
      const weight = scaled(published[index]!.weight, unit);
      const dInput = inputGradient(tf, place, d, tf.tensor2d(weight, [place.rows, place.fanIn]));
      const z = sums[index - 1]!;
      // 1 where both factors are positive; they never are negative together. Four times as fast as a comparison.
      const passes = tf.step(tf.mul(tf.sub(z, 0.5), tf.sub(127.5, z)));
      d = tf.mul(dInput, passes) as Matrix;
    }
  };
  return { output, backward };
}
