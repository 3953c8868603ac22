import type { ForwardPass } from './actor.ts';
import {
  dense,
  denseGradient,
  type Matrix,
  type NetworkLayout,
  type Tensorflow,
  transposed,
} from './dense.ts';

/**
 * The float32 critic: dense layers with ReLU between them, one value out. It is never published; it only has to be the
 * same bits for everyone who trains.
 *
 * @param parameters flat vector in `layout`
 * @param observations `[batch, observation]` integers as float32
 * @param inputUnit what one integer of an observation stands for, 2^−observationBits
 */
export function criticForward(
  tf: Tensorflow,
  layout: NetworkLayout,
  parameters: Float32Array,
  observations: Matrix,
  inputUnit: number,
): ForwardPass {
  const { layers } = layout;
  const last = layers.length - 1;
  const inputs: Matrix[] = [];
  let x = tf.mul(observations, inputUnit) as Matrix;
  for (const [index, layer] of layers.entries()) {
    const weight = transposed(parameters.subarray(layer.weight, layer.bias), layer.out, layer.in, 1);
    const bias = parameters.slice(layer.bias, layer.bias + layer.out);
    inputs.push(x);
    x = dense(tf, x, tf.tensor2d(weight, [layer.in, layer.out]), tf.tensor1d(bias));
    if (index < last) x = tf.relu(x);
  }
  const output = x;

  const backward = (dOutput: Matrix, gradient: Float32Array) => {
    let d = dOutput;
    for (let index = last; index >= 0; index--) {
      const layer = layers[index]!;
      const input = inputs[index]!;
      denseGradient(tf, layer, d, input, 1, gradient);
      if (index === 0) break;
      const weight = tf.tensor2d(parameters.slice(layer.weight, layer.bias), [layer.out, layer.in]);
      // ReLU passes gradient where its output, this layer’s input, is positive.
      d = tf.mul(tf.matMul(d, weight), tf.step(input)) as Matrix;
    }
  };
  return { output, backward };
}
