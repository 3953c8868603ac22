import * as tf from '@tensorflow/tfjs';
import { type NextWord, wordStream } from '../../src/training/random.ts';

/** A byte-level decoder transformer with pre-norm blocks, as the language models whose weights PULSE is for. */
export interface TransformerShape {
  readonly width: number;
  readonly heads: number;
  readonly layers: number;
  readonly context: number;
}

const VOCABULARY = 256;

/** 6.4 M weights. */
export const SHAPE: TransformerShape = { width: 256, heads: 4, layers: 8, context: 32 };

/** Name and dimensions of every tensor, in the order in which they are published. */
export function tensorsOf({ width, layers, context }: TransformerShape): { name: string; dims: number[] }[] {
  const block = (i: number) => [
    { name: `blocks.${i}.attention.norm`, dims: [width] },
    { name: `blocks.${i}.attention.qkv`, dims: [width, 3 * width] },
    { name: `blocks.${i}.attention.out`, dims: [width, width] },
    { name: `blocks.${i}.mlp.norm`, dims: [width] },
    { name: `blocks.${i}.mlp.up`, dims: [width, 4 * width] },
    { name: `blocks.${i}.mlp.down`, dims: [4 * width, width] },
  ];
  return [
    { name: 'embedding', dims: [VOCABULARY, width] },
    { name: 'position', dims: [context, width] },
    ...Array.from({ length: layers }, (_, i) => block(i)).flat(),
    { name: 'norm', dims: [width] },
    { name: 'head', dims: [width, VOCABULARY] },
  ];
}

/** Trains the transformer in TensorFlow.js on next bytes of `text`; weights are float32, as masters are. */
export class TransformerTraining {
  readonly shape: TransformerShape;
  readonly names: readonly string[];
  readonly #text: Uint8Array;
  readonly #batch: number;
  readonly #variables: Map<string, tf.Variable>;
  readonly #mask: tf.Tensor;
  #optimizer: tf.Optimizer;
  readonly #next: NextWord = wordStream(new Uint8Array(16).fill(2));

  constructor(
    shape: TransformerShape,
    text: Uint8Array,
    batch: number,
    weights?: ReadonlyMap<string, Float32Array>,
  ) {
    this.shape = shape;
    this.#text = text;
    this.#batch = batch;
    const tensors = tensorsOf(shape);
    this.names = tensors.map(({ name }) => name);
    this.#variables = new Map(
      tensors.map(({ name, dims }, i) => {
        const values = weights?.get(name) ?? initial(name, dims, i);
        return [name, tf.variable(tf.tensor(values, dims))];
      }),
    );
    const { context } = shape;
    const mask = Float32Array.from({ length: context * context }, (_, at) =>
      at % context > Math.floor(at / context) ? -1e9 : 0,
    );
    this.#mask = tf.tensor(mask, [context, context]);
    this.#optimizer = tf.train.adam(1e-3);
  }

  /** A fresh Adam (β 0.9 and 0.999) at this learning rate. */
  setLearningRate(rate: number): void {
    this.#optimizer.dispose();
    this.#optimizer = tf.train.adam(rate, 0.9, 0.999, 1e-8);
  }

  /** One update; gives the loss before it, nats a byte. */
  step(): number {
    const { context } = this.shape;
    const inputs = new Int32Array(this.#batch * context);
    const targets = new Int32Array(this.#batch * context);
    for (let row = 0; row < this.#batch; row++) {
      const start = this.#next() % (this.#text.length - context - 1);
      for (let i = 0; i < context; i++) {
        inputs[row * context + i] = this.#text[start + i]!;
        targets[row * context + i] = this.#text[start + i + 1]!;
      }
    }
    const loss = tf.tidy(() => {
      const variables = [...this.#variables.values()];
      const { value, grads } = tf.variableGrads(() => this.#loss(inputs, targets), variables);
      this.#optimizer.applyGradients(grads);
      return value.dataSync()[0]!;
    });
    return loss;
  }

  /** A tensor's weights as they are now. */
  weights(name: string): Float32Array {
    return this.#variables.get(name)!.dataSync() as Float32Array;
  }

  dispose(): void {
    this.#optimizer.dispose();
    this.#mask.dispose();
    for (const variable of this.#variables.values()) variable.dispose();
  }

  #get(name: string): tf.Tensor2D {
    return this.#variables.get(name)! as unknown as tf.Tensor2D;
  }

  #loss(inputs: Int32Array, targets: Int32Array): tf.Scalar {
    const { width, heads, layers, context } = this.shape;
    const rows = this.#batch * context;
    const size = width / heads;
    const oneHot = (ids: Int32Array) =>
      tf.oneHot(tf.tensor1d(ids, 'int32'), VOCABULARY).toFloat() as tf.Tensor2D;
    const norm = (x: tf.Tensor2D, scale: string) => {
      const power = x.square().mean(1, true).add(1e-5).rsqrt();
      return x.mul(power).mul(this.#get(scale)) as tf.Tensor2D;
    };
    const positions = tf.tile(this.#get('position'), [this.#batch, 1]);
    let x = product(oneHot(inputs), this.#get('embedding')).add(positions) as tf.Tensor2D;
    for (let i = 0; i < layers; i++) {
      const block = `blocks.${i}`;
      const qkv = product(norm(x, `${block}.attention.norm`), this.#get(`${block}.attention.qkv`));
      const [q, k, v] = tf
        .split(qkv, 3, 1)
        .map((part) => part.reshape([this.#batch, context, heads, size]).transpose([0, 2, 1, 3])) as [
        tf.Tensor4D,
        tf.Tensor4D,
        tf.Tensor4D,
      ];
      const scores = tf
        .matMul(q, k, false, true)
        .mul(1 / Math.sqrt(size))
        .add(this.#mask);
      const mixed = tf
        .matMul(tf.softmax(scores), v)
        .transpose([0, 2, 1, 3])
        .reshape([rows, width]) as tf.Tensor2D;
      x = x.add(product(mixed, this.#get(`${block}.attention.out`)));
      const up = product(norm(x, `${block}.mlp.norm`), this.#get(`${block}.mlp.up`)).relu();
      x = x.add(product(up, this.#get(`${block}.mlp.down`)));
    }
    const logits = product(norm(x, 'norm'), this.#get('head'));
    return tf.losses.softmaxCrossEntropy(oneHot(targets), logits) as tf.Scalar;
  }
}

/**
 * x·w, `[rows, in]` by `[in, out]`. The wasm backend multiplies transposed operands an order of magnitude slower than it
 * transposes them, so the gradients say both steps.
 */
const product = tf.customGrad((...inputs) => {
  const [x, w, save] = inputs as unknown as [tf.Tensor2D, tf.Tensor2D, (tensors: tf.Tensor[]) => void];
  save([x, w]);
  const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
    const [left, right] = saved as [tf.Tensor2D, tf.Tensor2D];
    return [
      tf.matMul(dy as tf.Tensor2D, tf.transpose(right)),
      tf.matMul(tf.transpose(left), dy as tf.Tensor2D),
    ];
  };
  return { value: tf.matMul(x, w), gradFunc };
}) as (x: tf.Tensor, w: tf.Tensor) => tf.Tensor2D;

/** Uniform weights of the usual variance, 1/fan-in (norms start at 1). */
function initial(name: string, dims: readonly number[], index: number): Float32Array {
  const size = dims.reduce((product, dim) => product * dim, 1);
  const values = new Float32Array(size);
  if (dims.length === 1) return values.fill(1);
  const spread = name === 'embedding' || name === 'position' ? 0.02 : Math.sqrt(1 / dims[0]!);
  const next = wordStream(new Uint8Array(16).fill(index));
  for (let at = 0; at < size; at++) {
    // The sum of four uniforms is near enough to a Gaussian.
    const sum = (next() + next() + next() + next()) / 2 ** 32;
    values[at] = (sum - 2) * Math.sqrt(3) * spread;
  }
  return values;
}
