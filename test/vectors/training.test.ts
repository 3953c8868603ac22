import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { startTensorflow } from '../../src/backends/tensorflow.ts';
import { policyRoot } from '../../src/policy/index.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import { createTrainer, encodeTrainerState, trainerStateRoot } from '../../src/training/index.ts';
import { wordStream } from '../../src/training/random.ts';
import { permutation } from '../../src/training/shuffle.ts';
import { words } from '../support/policies.ts';
import { train, trainerGenesis } from '../support/training.ts';

/**
 * The same bits everywhere: this file's numbers came from Node 24.21 and were reproduced on Node 20.20 and 22.23
 * (docs/PROTOCOL.md, Training, names the inputs).
 */
const VECTOR = JSON.parse(readFileSync(new URL('./training.json', import.meta.url), 'utf8'));

test('four updates at lag 1 give the recorded roots and metrics', async () => {
  const genesis = trainerGenesis({ learningRate: 0.005 });
  expect(genesis.trainingWasm).toBe(VECTOR.trainingWasm);
  const { policies, states, metrics } = train(await createTrainer(genesis), 4);
  expect(policies.map((policy) => toHex(policyRoot(policy)))).toEqual(VECTOR.policyRoots);
  expect(states.map((state) => toHex(trainerStateRoot(state)))).toEqual(VECTOR.trainerStateRoots);
  expect(metrics[3]).toEqual(VECTOR.lastMetrics);
  expect([...states[0]!.actor.values.slice(0, 4)]).toEqual(VECTOR.initialActor);
  expect([...policies[0]!.layers[0]!.weight.slice(0, 8)]).toEqual(VECTOR.initialWeights);
  expect(encodeTrainerState(states[0]!)).toHaveLength(VECTOR.stateBytes);
});

test('the shuffle and the word stream give the recorded values', () => {
  expect([...permutation(new Uint8Array(32).fill(1), 0, 10)]).toEqual(VECTOR.permutation);
  const next = wordStream(new Uint8Array(16).fill(3));
  expect(VECTOR.words.map(() => next())).toEqual(VECTOR.words);
});

test.each([
  [256, 4, 64],
  [255, 33, 31],
  [64, 256, 64],
  [250, 64, 1],
  [1, 64, 1],
])(
  'the pinned binary multiplies [%i, %i] by [%i wide] as sums in index order, each rounded to float32',
  async (rows, inner, columns) => {
    const tf = await startTensorflow('wasm');
    const next = words(rows + inner);
    const real = (count: number) => Float32Array.from({ length: count }, () => next() / 2 ** 31 - 1);
    const [a, b, bias] = [real(rows * inner), real(inner * columns), real(columns)];
    const { plain, fused, sums } = tf.tidy(() => {
      const x = tf.tensor2d(a, [rows, inner]);
      const w = tf.tensor2d(b, [inner, columns]);
      return {
        plain: tf.matMul(x, w).dataSync(),
        fused: tf.fused.matMul({ a: x, b: w, bias: tf.tensor1d(bias) }).dataSync(),
        sums: tf.sum(x, 1).dataSync(),
      };
    });
    const rounded = Math.fround;
    for (let row = 0; row < rows; row++) {
      let sum = 0;
      for (let k = 0; k < inner; k++) sum = rounded(sum + a[row * inner + k]!);
      expect(sums[row]).toBe(sum);
      for (let column = 0; column < columns; column++) {
        let [without, withBias] = [0, bias[column]!];
        for (let k = 0; k < inner; k++) {
          const product = rounded(a[row * inner + k]! * b[k * columns + column]!);
          without = rounded(without + product);
          withBias = rounded(withBias + product);
        }
        expect(plain[row * columns + column]).toBe(without);
        expect(fused[row * columns + column]).toBe(withBias);
      }
    }
  },
);
