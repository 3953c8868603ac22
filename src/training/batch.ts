import type { Rollouts } from '../environments/slots.ts';
import type { Architecture } from '../policy/architecture.ts';
import type { Matrix, NetworkLayout, Tensorflow } from './layers.ts';

/** All miners' steps in a row: miner by miner, slot by slot, step by step. */
export interface Batch {
  readonly steps: number;
  /** int8 values of one observation. */
  readonly width: number;
  /** Actions to choose from. */
  readonly choices: number;
  /** `[steps, width]` int8. */
  readonly observations: Int8Array;
  /** `[steps]`. */
  readonly actions: Uint16Array;
  /** `[steps, choices]` int32 with 10 fractional bits. */
  readonly logits: Int32Array;
}

/** @throws RangeError when an array has not the length that slots and steps give. */
export function concatenate(
  rollouts: readonly Rollouts[],
  logits: readonly Int32Array[],
  architecture: Architecture,
): Batch {
  const { observation: width, actions: choices } = architecture;
  if (logits.length !== rollouts.length) throw new RangeError('logits and rollouts differ in miners');
  const steps = rollouts.reduce((sum, part) => sum + part.slots * part.steps, 0);
  const batch: Batch = {
    steps,
    width,
    choices,
    observations: new Int8Array(steps * width),
    actions: new Uint16Array(steps),
    logits: new Int32Array(steps * choices),
  };
  let at = 0;
  for (const [miner, part] of rollouts.entries()) {
    const count = part.slots * part.steps;
    const own = logits[miner]!;
    const fits =
      part.observations.length === count * width &&
      part.actions.length === count &&
      own.length === count * choices &&
      part.bootstrapObservations.length === part.bootstrapIndex.length * width;
    if (!fits) throw new RangeError(`rollouts or logits of miner ${miner} have the wrong length`);
    batch.observations.set(part.observations, at * width);
    batch.actions.set(part.actions, at);
    batch.logits.set(own, at * choices);
    at += count;
  }
  return batch;
}

/** The most rows of one tensor operation over a whole batch, and the most values: a full wasm heap corrupts silently. */
const PASS_ROWS = 4096;
const PASS_VALUES = 67_108_864;

/** Rows of a pass through a network. No row's result depends on the others. */
export function passRows({ trainingValues }: NetworkLayout): number {
  return Math.max(1, Math.min(PASS_ROWS, Math.floor(PASS_VALUES / trainingValues)));
}

/** Runs `pass` over rows [from, to) in passes of `most` rows: `[rows, width]` float32 in all. */
export function inPasses(
  tf: Tensorflow,
  rows: number,
  width: number,
  pass: (from: number, to: number) => Matrix,
  most = PASS_ROWS,
): Float32Array {
  const out = new Float32Array(rows * width);
  for (let from = 0; from < rows; from += most) {
    const to = Math.min(rows, from + most);
    out.set(
      withoutTensors(tf, () => pass(from, to).dataSync<'float32'>()),
      from * width,
    );
  }
  return out;
}

/** `tf.tidy` for a result that holds no tensors: tidy would search its arrays for them, value by value. */
export function withoutTensors<Result>(tf: Tensorflow, run: () => Result): Result {
  let result: Result | undefined;
  tf.tidy(() => {
    result = run();
  });
  return result as Result;
}

/** Rows [from, to) of observations as a tensor, `[to − from, width]` float32. */
export function observationTensor(
  tf: Tensorflow,
  observations: Int8Array,
  width: number,
  from: number,
  to: number,
): Matrix {
  return tf.tensor2d(Float32Array.from(observations.subarray(from * width, to * width)), [to - from, width]);
}

/** Rows `rows` of `[…, width]` int8 or float32 values, as float32. */
export function gatherRows(values: Int8Array | Float32Array, rows: Uint32Array, width: number): Float32Array {
  const out = new Float32Array(rows.length * width);
  let at = 0;
  for (const row of rows) {
    for (let column = 0; column < width; column++) out[at++] = values[row * width + column]!;
  }
  return out;
}
