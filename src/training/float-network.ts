import { transposed } from '../policy/matrices.ts';
import type { ForwardPass } from './actor.ts';
import {
  applyLayer,
  columns,
  inputGradient,
  type Matrix,
  type NetworkLayout,
  parameterGradient,
  type Tensorflow,
} from './layers.ts';

/**
 * A float32 network: layers with ReLU between them. The critic is one; it is never published, and only has to be the
 * same bits for everyone who trains.
 *
 * @param parameters flat vector in `layout`
 * @param observations `[batch, observation]` integers as float32
 * @param inputUnit what one integer of an observation stands for, 2^−observationBits
 */
export function floatForward(
  tf: Tensorflow,
  layout: NetworkLayout,
  parameters: Float32Array,
  observations: Matrix,
  inputUnit: number,
): ForwardPass {
  const { layers } = layout;
  const last = layers.length - 1;
  const inputs: Matrix[] = [];
  const outputs: Matrix[] = [];
  let x = tf.mul(observations, inputUnit) as Matrix;
  for (const [index, layer] of layers.entries()) {
    const { rows, fanIn } = layer;
    const weight = transposed(parameters.subarray(layer.weight, layer.bias), rows, fanIn, 1);
    const bias = parameters.slice(layer.bias, layer.bias + rows);
    const input = columns(tf, layer, x);
    inputs.push(input);
    x = applyLayer(tf, layer, input, tf.tensor2d(weight, [fanIn, rows]), tf.tensor1d(bias));
    if (index < last) x = tf.relu(x);
    outputs.push(x);
  }
  const output = x;

  const backward = (dOutput: Matrix, gradient: Float32Array) => {
    let d = dOutput;
    for (let index = last; index >= 0; index--) {
      const layer = layers[index]!;
      parameterGradient(tf, layer, d, inputs[index]!, 1, gradient);
      if (index === 0) break;
      const weight = tf.tensor2d(parameters.slice(layer.weight, layer.bias), [layer.rows, layer.fanIn]);
      // ReLU passes gradient where its output, this layer’s input, is positive.
      d = tf.mul(inputGradient(tf, layer, d, weight), tf.step(outputs[index - 1]!)) as Matrix;
    }
  };
  return { output, backward };
}
