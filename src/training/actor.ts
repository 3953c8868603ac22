import type { QuantiserParams } from '../params/genesis.ts';
import type { Architecture, LayerTensors } from '../policy/architecture.ts';
import { type DenseLayout, dense, denseGradient, type Matrix, type Tensorflow, transposed } from './dense.ts';

/** A forward pass whose gradient can still be asked for, while its tensors live (inside one `tf.tidy`). */
export interface ForwardPass {
  /** `[batch, outputs]` float32. */
  readonly output: Matrix;
  /** Writes the gradient of every parameter, given that of the output, `[batch, outputs]`. */
  backward(dOutput: Matrix, gradient: Float32Array): void;
}

/**
 * The exact policy's forward pass on float32 tensors, with the straight-through gradient.
 *
 * Every value of the forward pass is the published integer times a power of two, hence exact: dense layers run on
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
export function actorForward(
  tf: Tensorflow,
  architecture: Architecture,
  quantiser: QuantiserParams,
  published: readonly LayerTensors[],
  layout: readonly DenseLayout[],
  observations: Matrix,
): ForwardPass {
  const last = architecture.layers.length - 1;
  const inputs: Matrix[] = [];
  const scaled: Matrix[] = [];
  let x = observations;
  for (const [index, layer] of architecture.layers.entries()) {
    const { weight, bias } = published[index]!;
    const unit = 1 / (1 << layer.shift);
    const z = dense(
      tf,
      x,
      tf.tensor2d(transposed(weight, layer.out, layer.in, unit), [layer.in, layer.out]),
      tf.tensor1d(Float32Array.from(bias, (b) => b * unit + 0.5)),
    );
    inputs.push(x);
    scaled.push(z);
    const rounded = tf.floor(z);
    x = index < last ? tf.clipByValue(rounded, 0, 127) : rounded;
  }
  const output = tf.mul(x, 1 / 1024) as Matrix;

  const backward = (dOutput: Matrix, gradient: Float32Array) => {
    let d = dOutput;
    for (let index = last; index >= 0; index--) {
      const layer = architecture.layers[index]!;
      const inputBits = index === 0 ? quantiser.observationBits : quantiser.activationBits;
      denseGradient(tf, layout[index]!, d, inputs[index]!, 1 / (1 << inputBits), gradient);
      if (index === 0) break;
      const unit = 1 / (1 << quantiser.weightBits[index]!);
      const weight = Float32Array.from(published[index]!.weight, (w) => w * unit);
      const dInput = tf.matMul(d, tf.tensor2d(weight, [layer.out, layer.in])) as Matrix;
      const z = scaled[index - 1]!;
      // 1 where both factors are positive; they never are negative together. Four times as fast as a comparison.
      const passes = tf.step(tf.mul(tf.sub(z, 0.5), tf.sub(127.5, z)));
      d = tf.mul(dInput, passes) as Matrix;
    }
  };
  return { output, backward };
}
