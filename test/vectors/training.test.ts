import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { startTfjs } from '../../src/backends/tfjs/engine.ts';
import { policyRoot } from '../../src/policy/index.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import { createTrainer, encodeTrainerState, trainerStateRoot } from '../../src/training/index.ts';
import { wordStream } from '../../src/training/random.ts';
import { permutation } from '../../src/training/shuffle.ts';
import { words } from '../support/policies.ts';
import { GOLDEN_WINDOWS, goldenRuns, train } from '../support/training.ts';

/**
 * The same bits everywhere: this file's numbers came from Node 24.21 and were reproduced on Node 22.23
 * (docs/PROTOCOL.md, Training, names the inputs). A change of training that is meant writes them anew:
 * `GRAIL_WRITE_VECTORS=1` and this file.
 */
const FILE = new URL('./training.json', import.meta.url);
const VECTOR = JSON.parse(readFileSync(FILE, 'utf8'));

test.each(Object.entries(goldenRuns()))(
  'four updates of %s give the recorded roots and metrics',
  async (name, { genesis, lag, data }) => {
    expect(genesis.trainingWasm).toBe(VECTOR.trainingWasm);
    const { policies, states, metrics } = train(await createTrainer(genesis), GOLDEN_WINDOWS, lag, data);
    const got = {
      policyRoots: policies.map((policy) => toHex(policyRoot(policy))),
      trainerStateRoots: states.map((state) => toHex(trainerStateRoot(state))),
      lastMetrics: metrics.at(-1),
      initialActor: [...states[0]!.actor.values.slice(0, 4)],
      initialWeights: [...policies[0]!.layers[0]!.weight.slice(0, 8)],
      stateBytes: encodeTrainerState(states[0]!).length,
    };
    if (process.env.GRAIL_WRITE_VECTORS) {
      VECTOR.runs[name] = got;
      writeFileSync(FILE, `${JSON.stringify(VECTOR, null, 2)}\n`);
    }
    expect(got).toEqual(VECTOR.runs[name]);
  },
);

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
  [16, 4096, 36],
  [2304, 36, 16],
])(
  'the pinned binary multiplies [%i, %i] by [%i wide] as sums in index order, each rounded to float32',
  async (rows, inner, columns) => {
    const tf = await startTfjs('wasm');
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
    const expected = {
      sums: new Float32Array(rows),
      plain: new Float32Array(rows * columns),
      fused: new Float32Array(rows * columns),
    };
    for (let row = 0; row < rows; row++) {
      let sum = 0;
      for (let k = 0; k < inner; k++) sum = rounded(sum + a[row * inner + k]!);
      expected.sums[row] = sum;
      for (let column = 0; column < columns; column++) {
        let [without, withBias] = [0, bias[column]!];
        for (let k = 0; k < inner; k++) {
          const product = rounded(a[row * inner + k]! * b[k * columns + column]!);
          without = rounded(without + product);
          withBias = rounded(withBias + product);
        }
        expected.plain[row * columns + column] = without;
        expected.fused[row * columns + column] = withBias;
      }
    }
    expect({ sums, plain, fused }).toEqual(expected);
  },
);
