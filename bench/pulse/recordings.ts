import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { startTfjs } from '../../src/backends/tfjs/engine.ts';
import { recorded, recordingKey } from './cache.ts';
import { type ChainState, roundToBf16 } from './chain-state.ts';
import { bytesOf, patternsOf } from './rivals/rival.ts';
import { SHAPE, TransformerTraining, tensorsOf } from './transformer.ts';

/**
 * Chains of bf16 states from real training: the transformer of transformer.ts learns the bytes of TypeScript's lib.dom.d.ts
 * (2 MB of text that package-lock.json pins), 240 steps at 1e-3; from there each chain is a fresh Adam at its own rate. Masters
 * stay float32, a state is their bf16. On disk a chain is its first state, and each next one XOR the one before, in zstd, below .cache/pulse/ under a
 * hash of the sources and the text: another text is another chain, a second run reads what the first recorded.
 */

const BATCH = 4;
const PRETRAINING = { steps: 240, learningRate: 1e-3 };

/** Learning rates of the chains: those of published RL fine-tuning, and one that is high for it. */
export const LEARNING_RATES: readonly number[] = [1e-6, 3e-6, 1e-5];

export interface ChainOptions {
  readonly learningRate: number;
  /** Updates (default 200). */
  readonly steps?: number;
  /** Lines of progress while something is recorded. */
  readonly report?: (line: string) => void;
}

/** The states of one chain, the pre-trained one first. It is recorded before the first is given, 0.5 s an update. */
export async function* transformerChain(options: ChainOptions): AsyncGenerator<ChainState> {
  const { learningRate, steps = 200, report = () => {} } = options;
  const text = corpus();
  const key = recordingKey(['bench/pulse/transformer.ts', 'bench/pulse/recordings.ts'], text);
  const weights = await recorded(`transformer-${key}-pretrained`, (folder) => pretrain(text, folder, report));
  const chain = await recorded(`transformer-${key}-${learningRate}-${steps}`, (folder) =>
    recordChain(text, weights, { learningRate, steps, report }, folder),
  );
  const losses = JSON.parse(readFileSync(join(chain, 'losses.json'), 'utf8')) as (number | null)[];
  const tensors = tensorsOf(SHAPE);
  let state: Uint16Array = new Uint16Array(0);
  for (const [step, loss] of losses.entries()) {
    const next = patternsOf(zstdDecompressSync(readFileSync(stateFile(chain, step))));
    if (step > 0) exclusiveOr(next, state);
    state = next;
    // The caller may write to what it is given.
    yield { step, state: state.slice(), tensors, loss };
  }
}

function corpus(): Uint8Array {
  const compiler = createRequire(import.meta.url).resolve('typescript');
  return new Uint8Array(readFileSync(join(dirname(compiler), 'lib.dom.d.ts')));
}

async function pretrain(text: Uint8Array, folder: string, report: (line: string) => void): Promise<void> {
  await startTfjs('wasm');
  const training = new TransformerTraining(SHAPE, text, BATCH);
  training.setLearningRate(PRETRAINING.learningRate);
  for (let step = 1; step <= PRETRAINING.steps; step++) {
    const loss = training.step();
    if (step % 20 === 0) report(`pre-training step ${step}: loss ${loss.toFixed(3)}`);
  }
  for (const name of training.names)
    writeFileSync(join(folder, `${name}.f32`), bytesOf(training.weights(name)));
  training.dispose();
}

async function recordChain(
  text: Uint8Array,
  pretrained: string,
  { learningRate, steps, report }: Required<ChainOptions>,
  folder: string,
): Promise<void> {
  await startTfjs('wasm');
  const weights = new Map(
    tensorsOf(SHAPE).map(({ name }) => {
      const bytes = new Uint8Array(readFileSync(join(pretrained, `${name}.f32`)));
      return [name, new Float32Array(bytes.buffer)];
    }),
  );
  const training = new TransformerTraining(SHAPE, text, BATCH, weights);
  training.setLearningRate(learningRate);
  const losses: (number | null)[] = [null];
  let state = published(training);
  writeFileSync(stateFile(folder, 0), zstdCompressSync(state));
  for (let step = 1; step <= steps; step++) {
    const loss = training.step();
    losses.push(loss);
    const next = published(training);
    exclusiveOr(state, next);
    writeFileSync(stateFile(folder, step), zstdCompressSync(state));
    state = next;
    if (step % 20 === 0) report(`${learningRate} step ${step}: loss ${loss.toFixed(3)}`);
  }
  writeFileSync(join(folder, 'losses.json'), JSON.stringify(losses));
  training.dispose();
}

function published(training: TransformerTraining): Uint16Array<ArrayBuffer> {
  const tensors = training.names.map((name) => training.weights(name));
  const state = new Uint16Array(tensors.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const values of tensors) {
    roundToBf16(values, state.subarray(at, at + values.length));
    at += values.length;
  }
  return state;
}

function exclusiveOr(out: Uint16Array, other: Uint16Array): void {
  for (let i = 0; i < out.length; i++) out[i]! ^= other[i]!;
}

function stateFile(folder: string, step: number): string {
  return join(folder, `${String(step).padStart(4, '0')}.zst`);
}
