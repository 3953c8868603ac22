import { INT8_MAX } from '../params/constants.ts';
import {
  type Architecture,
  type Conv2dLayer,
  type Layer,
  type Policy,
  weightCount,
  weightRows,
} from '../policy/architecture.ts';
import { forward } from '../policy/forward.ts';
import { philox4x32 } from '../policy/philox.ts';
import { sampleBatch } from '../policy/sampler.ts';
import { GrailError } from '../protocol/errors.ts';
import type { AnyBackend } from './backend.ts';

/** What a vector tries to catch. */
export type VectorKind =
  | 'negative-zero'
  | 'requantise'
  | 'patch-order'
  | 'worst-case'
  | 'odd-total'
  | 'unsigned'
  | 'short-span'
  | 'own-shape'
  | 'batch-size';

/** One known-answer vector; its answer is the integer reference's. */
export interface SelfTestVector {
  readonly kind: VectorKind;
  readonly policy: Policy;
  /** `[batch, observation]` int8. */
  readonly observations: Int8Array;
  readonly batch: number;
}

const BATCH_SIZES = [1, 7, 64, 1024] as const;
const LARGEST_BATCH = 1024;
const WIDEST_INPUT = 1024;
const BIAS_LIMIT = 131_072;
/** Step whose actions are sampled where a backend samples itself. */
const SAMPLED_STEP = 11;

/**
 * Runs known-answer vectors through a backend. It passes only if every logit is the same integer as the reference's;
 * nothing may mine before it has.
 * @throws GrailError BACKEND_NOT_EXACT naming the vector, row and action that failed first.
 */
export async function selfTest(backend: AnyBackend, architecture: Architecture): Promise<void> {
  for (const vector of selfTestVectors(architecture)) await runVector(backend, vector);
}

async function runVector(
  backend: AnyBackend,
  { kind, policy, observations, batch }: SelfTestVector,
): Promise<void> {
  const expected = forward(policy, observations, batch);
  const loaded = backend.load(policy);
  try {
    const got: ArrayLike<number> = await loaded.logits(observations, batch);
    const actions = policy.architecture.actions;
    const failed = (message: string, details: { [key: string]: string | number }) =>
      new GrailError(
        'BACKEND_NOT_EXACT',
        `the ${backend.name} backend is not exact (${kind}, batch ${batch}): ${message}; use another backend`,
        { backend: backend.name, vector: kind, batch, ...details },
      );
    if (got.length !== expected.length) {
      throw failed('it gives another number of logits', { expected: expected.length, got: got.length });
    }
    for (let i = 0; i < expected.length; i++) {
      // Object.is tells −0 from 0.
      if (Object.is(got[i], expected[i])) continue;
      throw failed('a logit differs', {
        row: Math.floor(i / actions),
        action: i % actions,
        expected: expected[i]!,
        got: Object.is(got[i], -0) ? '−0' : got[i]!,
      });
    }
    if (!('act' in loaded) || loaded.act === undefined) return;
    const seeds = Uint32Array.from({ length: 4 * batch }, randomStream());
    const [sampled, right] = [new Uint16Array(batch), new Uint16Array(batch)];
    loaded.act(observations, batch, seeds, SAMPLED_STEP, sampled);
    sampleBatch(seeds, SAMPLED_STEP, expected, actions, right);
    for (const [row, action] of right.entries()) {
      if (sampled[row] !== action) {
        throw failed('a sampled action differs', { row, expected: action, got: sampled[row]! });
      }
    }
  } finally {
    loaded.dispose();
  }
}

/** Every vector for an architecture, in the order in which they run. */
export function* selfTestVectors(architecture: Architecture): Generator<SelfTestVector> {
  yield negativeZero();
  yield requantisation();
  for (const shift of [8, 17]) yield worstCase(shift);
  yield oddTotals();
  for (const shift of [1, 10]) yield unsigned(shift);
  for (const shift of [1, 10]) yield shortSpan(shift);
  yield patchOrder();
  for (const shift of [8, 17]) yield worstPatches(shift);
  yield* ownShapes(architecture);
}

/** Products of −0 and totals that requantise to exactly zero. */
function negativeZero(): SelfTestVector {
  const layer = { type: 'dense', in: 8, out: 4, shift: 4, biasMax: 64 } as const;
  const policy: Policy = {
    architecture: { observation: 8, actions: 4, layers: [layer] },
    layers: [{ weight: new Int8Array(32), bias: Int32Array.of(-8, -1, 0, 7) }],
  };
  return { kind: 'negative-zero', policy, observations: new Int8Array(16 * 8).fill(-INT8_MAX), batch: 16 };
}

/** Rows and weights of ±127 everywhere, 1,024 wide, biases at their limit, through a hidden layer. */
function worstCase(shift: number): SelfTestVector {
  const hidden = 16;
  const actions = 4;
  const wide = { type: 'dense', in: WIDEST_INPUT, out: hidden, shift, biasMax: BIAS_LIMIT } as const;
  const narrow = { type: 'dense', in: hidden, out: actions, shift: 1, biasMax: BIAS_LIMIT } as const;
  const weight = new Int8Array(WIDEST_INPUT * hidden);
  for (let o = 0; o < hidden; o++) {
    for (let i = 0; i < WIDEST_INPUT; i++) weight[o * WIDEST_INPUT + i] = signs(o, i) * INT8_MAX;
  }
  const policy: Policy = {
    architecture: { observation: WIDEST_INPUT, actions, layers: [wide, narrow] },
    layers: [
      { weight, bias: Int32Array.from({ length: hidden }, (_, o) => (o % 3 === 2 ? -1 : 1) * BIAS_LIMIT) },
      {
        weight: Int8Array.from({ length: hidden * actions }, (_, i) => (i % 5 < 3 ? INT8_MAX : -INT8_MAX)),
        bias: Int32Array.of(BIAS_LIMIT, -BIAS_LIMIT, 1, 0),
      },
    ],
  };
  const batch = 16;
  const observations = new Int8Array(batch * WIDEST_INPUT);
  for (let row = 0; row < batch; row++) {
    for (let i = 0; i < WIDEST_INPUT; i++) observations[row * WIDEST_INPUT + i] = signs(row, i) * INT8_MAX;
  }
  return { kind: 'worst-case', policy, observations, batch };
}

/**
 * Patches of 1,024 values of ±127 under weights of ±127, at six positions, then a convolution of what they give. The
 * patterns run along the observation, so that patches differ from place to place.
 */
function worstPatches(shift: number): SelfTestVector {
  const architecture: Architecture = {
    observation: 12 * 10 * 16,
    actions: 4,
    layers: [
      { ...square(12, 10, 16, 8, 8, 2), shift, biasMax: BIAS_LIMIT },
      { ...square(3, 2, 8, 6, 2, 1), shift: 12, biasMax: BIAS_LIMIT },
      { type: 'dense', in: 12, out: 4, shift: 1, biasMax: BIAS_LIMIT },
    ],
  };
  let at = 0;
  const extreme = fill(architecture, (range) => (at++ % 3 === 1 ? -range : range));
  const weight = new Int8Array(8 * WIDEST_INPUT);
  for (let i = 0; i < weight.length; i++) weight[i] = signs(Math.floor(i / WIDEST_INPUT), i) * INT8_MAX;
  const batch = 8;
  const width = architecture.observation;
  const observations = Int8Array.from(
    { length: batch * width },
    (_, i) => signs(Math.floor(i / width), i % width) * INT8_MAX,
  );
  const policy = { architecture, layers: extreme.layers.with(0, { ...extreme.layers[0]!, weight }) };
  return { kind: 'worst-case', policy, observations, batch };
}

/**
 * Convolutions of an uneven grid, with and without a stride, one after another and into a dense layer. Weights and
 * values are all different and small enough not to saturate: any other order of a patch, of positions or of the
 * flattened values gives other logits.
 */
function patchOrder(): SelfTestVector {
  const architecture: Architecture = {
    observation: 6 * 9 * 3,
    actions: 6,
    layers: [
      { ...square(6, 9, 3, 4, 3, 2), shift: 6, biasMax: 1024 },
      { ...square(2, 4, 4, 5, 2, 1), shift: 4, biasMax: 1024 },
      { type: 'dense', in: 15, out: 6, shift: 2, biasMax: 1024 },
    ],
  };
  const random = randomStream();
  const policy = fill(architecture, () => (random() % 31) - 15);
  const batch = 32;
  const observations = Int8Array.from(
    { length: batch * architecture.observation },
    () => (random() % 255) - 127,
  );
  return { kind: 'patch-order', policy, observations, batch };
}

function square(
  height: number,
  width: number,
  cin: number,
  cout: number,
  kernel: number,
  stride: number,
): Omit<Conv2dLayer, 'shift' | 'biasMax'> {
  return { type: 'conv2d', height, width, cin, cout, kernel, stride };
}

/** Sign patterns: partial sums climb to either end, or swing as far as they can. */
const SIGNS: readonly ((i: number) => number)[] = [
  () => 1,
  () => -1,
  (i) => (i % 2 === 0 ? 1 : -1),
  (i) => (i < WIDEST_INPUT / 2 ? 1 : -1),
  (i) => (i % 7 < 3 ? 1 : -1),
];

function signs(row: number, i: number): number {
  return SIGNS[row % SIGNS.length]!(i);
}

/** Totals next to ±2^24, odd and even: arithmetic with fewer than 24 bits loses the last one. */
function oddTotals(): SelfTestVector {
  const actions = 16;
  const layer = { type: 'dense', in: WIDEST_INPUT, out: actions, shift: 1, biasMax: BIAS_LIMIT } as const;
  const weight = new Int8Array(WIDEST_INPUT * actions).fill(INT8_MAX);
  for (let o = 0; o < actions; o++) weight[o * WIDEST_INPUT + o] = INT8_MAX - o;
  const policy: Policy = {
    architecture: { observation: WIDEST_INPUT, actions, layers: [layer] },
    layers: [
      { weight, bias: Int32Array.from({ length: actions }, (_, o) => (o < 8 ? 1 : -1) * (BIAS_LIMIT - o)) },
    ],
  };
  const batch = 8;
  const observations = new Int8Array(batch * WIDEST_INPUT);
  for (let row = 0; row < batch; row++) {
    const from = row * WIDEST_INPUT;
    observations.fill(row < 4 ? INT8_MAX : -INT8_MAX, from, from + WIDEST_INPUT);
    for (let i = 0; i < row % 4; i++) observations[from + 100 + i]! -= row < 4 ? 1 : -1;
  }
  return { kind: 'odd-total', policy, observations, batch };
}

/**
 * Observations from 0 to 127 only, 1,024 wide, under rows of one weight, small to large and of either sign: arithmetic that
 * takes signless values another way, or adds small products in fewer bits, meets sums at every size that it may hold.
 */
function unsigned(shift: number): SelfTestVector {
  const weights = [1, 2, 3, 5, 8, 15, 31, 42, 63, 64, 65, 126, 127].flatMap((weight) => [weight, -weight]);
  const actions = weights.length;
  const layer = { type: 'dense', in: WIDEST_INPUT, out: actions, shift, biasMax: BIAS_LIMIT } as const;
  const policy: Policy = {
    architecture: { observation: WIDEST_INPUT, actions, layers: [layer] },
    layers: [
      {
        weight: Int8Array.from(
          { length: WIDEST_INPUT * actions },
          (_, i) => weights[Math.floor(i / WIDEST_INPUT)]!,
        ),
        bias: Int32Array.from({ length: actions }, (_, o) => (o % 4 < 2 ? o : -o)),
      },
    ],
  };
  const rows: readonly ((i: number) => number)[] = [
    () => INT8_MAX,
    () => 0,
    () => 1,
    (i) => i & 1,
    (i) => (i * 37) & 127,
    (i) => (i % 5 < 2 ? INT8_MAX : 0),
    (i) => (i < WIDEST_INPUT / 2 ? INT8_MAX : 1),
    (i) => (i % 4 < 2 ? INT8_MAX : 0),
  ];
  const batch = rows.length;
  const observations = Int8Array.from({ length: batch * WIDEST_INPUT }, (_, i) =>
    rows[Math.floor(i / WIDEST_INPUT)]!(i % WIDEST_INPUT),
  );
  return { kind: 'unsigned', policy, observations, batch };
}

/**
 * Observations of either sign, 1,024 wide, under rows whose weights lie close together, high or low: arithmetic that takes a
 * common part out of a row's weights, to multiply what is left in fewer bits, meets every span that it may.
 */
function shortSpan(shift: number): SelfTestVector {
  const spans: readonly (readonly [least: number, most: number])[] = [
    [-127, 0],
    [-127, -127],
    [-64, 63],
    [-63, 64],
    [0, 127],
    [127, 127],
    [0, 1],
    [-1, 0],
    [-8, 7],
    [-3, 28],
    [60, 67],
    [-127, -112],
    [-64, 64],
    [-127, 127],
    [1, 127],
    [-5, 122],
  ];
  const actions = spans.length;
  const layer = { type: 'dense', in: WIDEST_INPUT, out: actions, shift, biasMax: BIAS_LIMIT } as const;
  const policy: Policy = {
    architecture: { observation: WIDEST_INPUT, actions, layers: [layer] },
    layers: [
      {
        weight: Int8Array.from({ length: WIDEST_INPUT * actions }, (_, i) => {
          const [output, place] = [Math.floor(i / WIDEST_INPUT), i % WIDEST_INPUT];
          const [least, most] = spans[output]!;
          // The ends in runs and in turn, then all between.
          if (place < 256) return place % 16 < 8 ? most : least;
          return place < 512 ? (place % 2 === 0 ? most : least) : least + ((place * 29) % (most - least + 1));
        }),
        bias: Int32Array.from({ length: actions }, (_, o) => (o % 4 < 2 ? o : -o)),
      },
    ],
  };
  const rows: readonly ((i: number) => number)[] = [
    () => -INT8_MAX,
    (i) => (i % 16 < 8 ? INT8_MAX : -INT8_MAX),
    (i) => (i % 2 === 0 ? INT8_MAX : -INT8_MAX),
    (i) => (i % 4 < 2 ? -INT8_MAX : INT8_MAX),
    (i) => ((i * 37) % 255) - INT8_MAX,
    (i) => (i === 1023 ? -1 : INT8_MAX),
    (i) => (i === 0 ? -INT8_MAX : 0),
    (i) => -(i % 3),
  ];
  const batch = rows.length;
  const observations = Int8Array.from({ length: batch * WIDEST_INPUT }, (_, i) =>
    rows[Math.floor(i / WIDEST_INPUT)]!(i % WIDEST_INPUT),
  );
  return { kind: 'short-span', policy, observations, batch };
}

/** Totals at and beside every edge of the requantisation: halves, zero, 127·2^shift, and negative logits. */
function requantisation(): SelfTestVector {
  const first = { type: 'dense', in: 2, out: 8, shift: 3, biasMax: 2048 } as const;
  const second = { type: 'dense', in: 8, out: 8, shift: 2, biasMax: 2048 } as const;
  const policy: Policy = {
    architecture: { observation: 2, actions: 8, layers: [first, second] },
    layers: [
      {
        weight: Int8Array.from({ length: 16 }, (_, i) => (i % 2 === 0 ? 1 : 8)),
        bias: Int32Array.of(0, 4, -4, 3, -3, 1016, 1012, -1016),
      },
      {
        weight: Int8Array.from({ length: 64 }, (_, i) => (i % 9 === 0 ? (i % 2 === 0 ? 1 : -1) : 0)),
        bias: Int32Array.of(0, 1, -1, 2, -2, 3, -3, 0),
      },
    ],
  };
  const observations: number[] = [];
  for (let fine = -16; fine < 16; fine++)
    for (const coarse of [-127, 0, 1, 127]) observations.push(fine, coarse);
  return {
    kind: 'requantise',
    policy,
    observations: Int8Array.from(observations),
    batch: observations.length / 2,
  };
}

/** Policies of the network's own shape, at batch sizes that miners and verifiers use. */
function* ownShapes(architecture: Architecture): Generator<SelfTestVector> {
  const random = randomStream();
  const extreme = fill(architecture, (range) => (random() % 2 === 0 ? range : -range));
  const uniform = fill(architecture, (range) => (random() % (2 * range + 1)) - range);
  const width = architecture.observation;
  const rows = Int8Array.from({ length: LARGEST_BATCH * width }, (_, i) =>
    // One row in four has ±127 only.
    Math.floor(i / width) % 4 === 3 ? (random() % 2 === 0 ? INT8_MAX : -INT8_MAX) : (random() % 255) - 127,
  );
  for (const policy of [uniform, extreme]) {
    yield { kind: 'own-shape', policy, observations: rows.slice(0, 64 * width), batch: 64 };
  }
  for (const batch of BATCH_SIZES) {
    yield { kind: 'batch-size', policy: uniform, observations: rows.slice(0, batch * width), batch };
  }
}

function fill(architecture: Architecture, value: (range: number, layer: Layer) => number): Policy {
  return {
    architecture,
    layers: architecture.layers.map((layer) => ({
      weight: Int8Array.from({ length: weightCount(layer) }, () => value(INT8_MAX, layer)),
      bias: Int32Array.from({ length: weightRows(layer) }, () => value(layer.biasMax, layer)),
    })),
  };
}

/** Words of Philox under a fixed key: the same vectors on every machine. */
function randomStream(): () => number {
  const block = new Uint32Array(4);
  let counter = 0;
  return () => {
    if (counter % 4 === 0) philox4x32(counter / 4, 0, 0, 0, 0x4752_4149, 0x4c00_0001, block);
    return block[counter++ % 4]!;
  };
}
