/**
 * The exact policy's layers and sampler as WebAssembly SIMD (docs/PROTOCOL.md, Exact policy and Sampling). Integers
 * throughout: every result is the reference's, bit for bit.
 *
 * A layer is a matrix product over gathered rows. Row r stands for one patch of one observation: `rows[r]` is the address
 * where the patch begins, `steps[s]` how far behind it the four values of step s lie. So a dense layer and a convolution
 * are the same loop, and no patches are copied.
 *
 * Weights lie in panels of eight outputs: step by step 32 bytes, four values of each output. What a patch reads beyond its
 * end meets weights of zero.
 *
 * Three ways to multiply:
 * - `wide`: int8 values in [-127, 127] by int8 weights, extended to int16 (`i32x4.dot_i16x8_s`); plain SIMD.
 * - `narrow`: values in [0, 127] only, by relaxed SIMD's int8 by int7 products. Their result is fixed: the second operand has
 *   seven bits, and a pair's sum (32,258 at most) fits int16. Sums of pairs are kept in int16 for as many steps as the
 *   panel's weights allow (`groups`, made by src/backends/simd/pack.ts, which proves the bound), then widened.
 * - `shifted`: values of either sign by the same products with the operands in the other order, where each output's least
 *   weight m is taken from its weights, so that these are in [0, 127]: Σ w·x = Σ (w − m)·x + m·Σ x. Panels with an output
 *   whose weights span more than 127 are multiplied `wide`.
 *
 * Compiled by `npm run build:kernels`; the binaries are in src/backends/simd/binaries.ts.
 */

/** Bytes of one step of a panel: eight outputs, four values each. */
const STEP_BYTES: usize = 32;
/** Outputs of a panel. */
const PANEL: usize = 8;

// Layer descriptor: words of 4 bytes, written by src/backends/simd/pack.ts.
const ROWS: usize = 0;
const STEPS: usize = 4;
const STEP_COUNT: usize = 8;
const OUTPUTS: usize = 12;
const WEIGHTS: usize = 16;
const BIAS: usize = 20;
const SHIFT: usize = 24;
const GROUPS: usize = 28;
const OUT: usize = 32;
const POSITIONS: usize = 36;
// Of the first layer only, for `shifted`.
const SHIFTED: usize = 40;
const LEAST: usize = 44;
const SHIFTED_GROUPS: usize = 48;
const ONES: usize = 52;
const TOTALS: usize = 56;

/** In a list of groups: the panel cannot be multiplied `shifted`. */
const NOT_SHIFTED: usize = 1;

/** How a layer's values are to be multiplied. */
const NARROW = 1;
const SHIFT_WEIGHTS = 2;

/** Room for the int32 sums of a tile between groups: six rows of two vectors. */
const sums = memory.data(6 * 32, 16);
/** Room for four rows of one Philox block, and of the best action and score so far. */
const words = memory.data(4 * 16, 16);
const best = memory.data(4 * 8, 16);

/** The first free address. */
export function base(): usize {
  return __heap_base;
}

/**
 * What a chunk of observations holds: 1 when some value is negative, 3 when some value is −128 (which is invalid), else 0.
 * Reads up to 15 bytes beyond `bytes`; they must be zero.
 */
export function inspect(at: usize, bytes: usize): i32 {
  let least = i8x16.splat(0);
  const end = at + bytes;
  for (; at < end; at += 16) least = i8x16.min_s(least, v128.load(at));
  if (v128.any_true(i8x16.eq(least, i8x16.splat(-128)))) return 3;
  return v128.any_true(i8x16.lt_s(least, i8x16.splat(0))) ? 1 : 0;
}

/**
 * One layer over `batch` observations: hidden layers requantise to int8 at OUT, `[batch · positions, outputs]`; the last
 * one writes int32 logits, `[batch, 8 · panels]`.
 */
export function layer(at: usize, batch: usize, mode: i32, last: bool): void {
  const rows = load<u32>(at, ROWS) as usize;
  const count = batch * (load<u32>(at, POSITIONS) as usize);
  const outputs = load<u32>(at, OUTPUTS) as usize;
  const stepCount = load<u32>(at, STEP_COUNT) as usize;
  const shift = load<i32>(at, SHIFT);
  const steps = load<u32>(at, STEPS) as usize;
  const out = load<u32>(at, OUT) as usize;
  const panels = (outputs + PANEL - 1) / PANEL;
  const stride = last ? panels * PANEL * 4 : outputs;
  let weights = load<u32>(at, WEIGHTS) as usize;
  let bias = load<u32>(at, BIAS) as usize;
  let shifted = load<u32>(at, SHIFTED) as usize;
  let least = load<u32>(at, LEAST) as usize;
  const groups = (mode == SHIFT_WEIGHTS ? load<u32>(at, SHIFTED_GROUPS) : load<u32>(at, GROUPS)) as usize;
  const totals = load<u32>(at, TOTALS) as usize;
  if (mode == SHIFT_WEIGHTS) addUp(rows, count, steps, stepCount, load<u32>(at, ONES) as usize, totals);
  for (let panel: usize = 0; panel < panels; panel++) {
    const first = panel * PANEL;
    const to = out + (last ? first * 4 : first);
    const valid = last ? PANEL : min(PANEL, outputs - first);
    const ends = load<u32>(groups + panel * 4) as usize;
    if (ASC_FEATURE_RELAXED_SIMD && mode == NARROW) {
      if (ends != 0) grouped<i8>(rows, count, steps, stepCount, weights, bias, ends, shift, last, valid, to, stride, 0, 0);
      else direct<i8>(rows, count, steps, stepCount, weights, bias, shift, last, valid, to, stride, 0, 0);
    } else if (ASC_FEATURE_RELAXED_SIMD && mode == SHIFT_WEIGHTS && ends != NOT_SHIFTED) {
      if (ends != 0) {
        grouped<u8>(rows, count, steps, stepCount, shifted, bias, ends, shift, last, valid, to, stride, least, totals);
      } else {
        direct<u8>(rows, count, steps, stepCount, shifted, bias, shift, last, valid, to, stride, least, totals);
      }
    } else {
      wide(rows, count, steps, stepCount, weights, bias, shift, last, valid, to, stride);
    }
    weights += stepCount * STEP_BYTES;
    shifted += stepCount * STEP_BYTES;
    bias += PANEL * 4;
    least += PANEL * 4;
  }
}

/** The sum of each row's values, int32: `ones` is 1 where a step's value belongs to the patch, 0 where it is read beyond it. */
function addUp(rows: usize, count: usize, steps: usize, stepCount: usize, ones: usize, totals: usize): void {
  for (let r: usize = 0; r < count; r++) {
    const x = row(rows, r);
    let sum = i32x4.splat(0);
    for (let step: usize = 0; step < stepCount; step++) {
      const values = extended(x + load<u32>(steps + step * 4));
      sum = i32x4.add(sum, i32x4.dot_i16x8_s(values, extended(ones + step * 4)));
    }
    store<i32>(totals + r * 4, i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1));
  }
}

/** Requantises eight sums and stores the `valid` first, or stores eight logits. */
@inline
function finish(low: v128, high: v128, shift: i32, last: bool, valid: usize, to: usize): void {
  low = i32x4.shr_s(low, shift);
  high = i32x4.shr_s(high, shift);
  if (last) {
    v128.store(to, low);
    v128.store(to, high, 16);
    return;
  }
  // Both narrowings saturate, so that what exceeds 127 becomes 127.
  const halves = i16x8.narrow_i32x4_s(low, high);
  const bytes = i8x16.max_s(i8x16.narrow_i16x8_s(halves, halves), i8x16.splat(0));
  if (valid == PANEL) {
    v128.store64_lane(to, bytes, 0);
    return;
  }
  let rest = i64x2.extract_lane(bytes, 0);
  for (let i: usize = 0; i < valid; i++) {
    store<u8>(to + i, rest as u8);
    rest >>= 8;
  }
}

@inline
function row(rows: usize, index: usize): usize {
  return load<u32>(rows + index * 4) as usize;
}

// W says whose sign is free: i8, the weights' (values are in [0, 127]); u8, the values' (weights are).

@inline
function pairs<W>(weights: v128, values: v128): v128 {
  return isSigned<W>() ? v128.relaxed_dot<i16>(weights, values) : v128.relaxed_dot<i16>(values, weights);
}

@inline
function quads<W>(weights: v128, values: v128, sum: v128): v128 {
  return isSigned<W>()
    ? i32x4.relaxed_dot_i8x16_i7x16_add_s(weights, values, sum)
    : i32x4.relaxed_dot_i8x16_i7x16_add_s(values, weights, sum);
}

/** Adds what the shift of the weights took from a row's sums of four outputs. */
@inline
function unshifted<W>(sum: v128, least: usize, total: usize): v128 {
  return isSigned<W>() ? sum : i32x4.add(sum, i32x4.mul(v128.load(least), v128.load32_splat(total)));
}

/** `finish` of a row's sums, after what the shift of the weights took from them is added. */
@inline
function finishRow<W>(
  low: v128,
  high: v128,
  least: usize,
  total: usize,
  shift: i32,
  last: bool,
  valid: usize,
  to: usize,
): void {
  finish(unshifted<W>(low, least, total), unshifted<W>(high, least + 16, total), shift, last, valid, to);
}

/** `narrow` and `shifted`, with int16 sums of pairs: `ends` is a list of step counts at which they are widened, the last one stepCount. */
function grouped<W>(
  rows: usize,
  count: usize,
  steps: usize,
  stepCount: usize,
  weights: usize,
  bias: usize,
  ends: usize,
  shift: i32,
  last: bool,
  valid: usize,
  to: usize,
  stride: usize,
  least: usize,
  totals: usize,
): void {
  const bias0 = v128.load(bias);
  const bias1 = v128.load(bias, 16);
  for (let r: usize = 0; r < count; ) {
    if (count < 6) {
      const x0 = row(rows, r);
      let s0 = bias0;
      let s1 = bias1;
      let step: usize = 0;
      let w = weights;
      for (let group = ends; step < stepCount; group += 4) {
        const end = load<u32>(group) as usize;
        let a0 = i16x8.splat(0);
        let a1 = i16x8.splat(0);
        for (; step < end; step++) {
          const x = v128.load32_splat(x0 + load<u32>(steps + step * 4));
          a0 = i16x8.add(a0, pairs<W>(v128.load(w), x));
          a1 = i16x8.add(a1, pairs<W>(v128.load(w, 16), x));
          w += STEP_BYTES;
        }
        s0 = i32x4.add(s0, i32x4.extadd_pairwise_i16x8_s(a0));
        s1 = i32x4.add(s1, i32x4.extadd_pairwise_i16x8_s(a1));
      }
      finishRow<W>(s0, s1, least, totals + r * 4, shift, last, valid, to + r * stride);
      r += 1;
      continue;
    }
    // The last tile goes back over rows that are done: the same values once more.
    if (r > count - 6) r = count - 6;
    const x0 = row(rows, r);
    const x1 = row(rows, r + 1);
    const x2 = row(rows, r + 2);
    const x3 = row(rows, r + 3);
    const x4 = row(rows, r + 4);
    const x5 = row(rows, r + 5);
    let step: usize = 0;
    let w = weights;
    for (let group = ends; step < stepCount; group += 4) {
      const first = step == 0;
      const end = load<u32>(group) as usize;
      let a00 = i16x8.splat(0);
      let a01 = a00;
      let a10 = a00;
      let a11 = a00;
      let a20 = a00;
      let a21 = a00;
      let a30 = a00;
      let a31 = a00;
      let a40 = a00;
      let a41 = a00;
      let a50 = a00;
      let a51 = a00;
      for (; step < end; step++) {
        const k = load<u32>(steps + step * 4) as usize;
        const w0 = v128.load(w);
        const w1 = v128.load(w, 16);
        w += STEP_BYTES;
        let x = v128.load32_splat(x0 + k);
        a00 = i16x8.add(a00, pairs<W>(w0, x));
        a01 = i16x8.add(a01, pairs<W>(w1, x));
        x = v128.load32_splat(x1 + k);
        a10 = i16x8.add(a10, pairs<W>(w0, x));
        a11 = i16x8.add(a11, pairs<W>(w1, x));
        x = v128.load32_splat(x2 + k);
        a20 = i16x8.add(a20, pairs<W>(w0, x));
        a21 = i16x8.add(a21, pairs<W>(w1, x));
        x = v128.load32_splat(x3 + k);
        a30 = i16x8.add(a30, pairs<W>(w0, x));
        a31 = i16x8.add(a31, pairs<W>(w1, x));
        x = v128.load32_splat(x4 + k);
        a40 = i16x8.add(a40, pairs<W>(w0, x));
        a41 = i16x8.add(a41, pairs<W>(w1, x));
        x = v128.load32_splat(x5 + k);
        a50 = i16x8.add(a50, pairs<W>(w0, x));
        a51 = i16x8.add(a51, pairs<W>(w1, x));
      }
      if (first) {
        v128.store(sums, bias0, 0);
        v128.store(sums, bias1, 16);
        v128.store(sums, bias0, 32);
        v128.store(sums, bias1, 48);
        v128.store(sums, bias0, 64);
        v128.store(sums, bias1, 80);
        v128.store(sums, bias0, 96);
        v128.store(sums, bias1, 112);
        v128.store(sums, bias0, 128);
        v128.store(sums, bias1, 144);
        v128.store(sums, bias0, 160);
        v128.store(sums, bias1, 176);
      }
      widen(a00, a01, 0);
      widen(a10, a11, 32);
      widen(a20, a21, 64);
      widen(a30, a31, 96);
      widen(a40, a41, 128);
      widen(a50, a51, 160);
    }
    for (let i: usize = 0; i < 6; i++) {
      const from = sums + i * 32;
      const total = totals + (r + i) * 4;
      finishRow<W>(v128.load(from), v128.load(from, 16), least, total, shift, last, valid, to + (r + i) * stride);
    }
    r += 6;
  }
}

/** Adds int16 sums of pairs to the int32 sums at `at`. */
@inline
function widen(low: v128, high: v128, at: usize): void {
  const to = sums + at;
  v128.store(to, i32x4.add(v128.load(to), i32x4.extadd_pairwise_i16x8_s(low)));
  v128.store(to, i32x4.add(v128.load(to, 16), i32x4.extadd_pairwise_i16x8_s(high)), 16);
}

/** `narrow` and `shifted`, widened at every step: for weights too large for int16 sums. */
function direct<W>(
  rows: usize,
  count: usize,
  steps: usize,
  stepCount: usize,
  weights: usize,
  bias: usize,
  shift: i32,
  last: bool,
  valid: usize,
  to: usize,
  stride: usize,
  least: usize,
  totals: usize,
): void {
  const bias0 = v128.load(bias);
  const bias1 = v128.load(bias, 16);
  const stepsEnd = steps + stepCount * 4;
  for (let r: usize = 0; r < count; ) {
    let w = weights;
    if (count < 6) {
      const x0 = row(rows, r);
      let s0 = bias0;
      let s1 = bias1;
      for (let at = steps; at < stepsEnd; at += 4) {
        const x = v128.load32_splat(x0 + load<u32>(at));
        s0 = quads<W>(v128.load(w), x, s0);
        s1 = quads<W>(v128.load(w, 16), x, s1);
        w += STEP_BYTES;
      }
      finishRow<W>(s0, s1, least, totals + r * 4, shift, last, valid, to + r * stride);
      r += 1;
      continue;
    }
    if (r > count - 6) r = count - 6;
    const x0 = row(rows, r);
    const x1 = row(rows, r + 1);
    const x2 = row(rows, r + 2);
    const x3 = row(rows, r + 3);
    const x4 = row(rows, r + 4);
    const x5 = row(rows, r + 5);
    let a00 = bias0;
    let a01 = bias1;
    let a10 = bias0;
    let a11 = bias1;
    let a20 = bias0;
    let a21 = bias1;
    let a30 = bias0;
    let a31 = bias1;
    let a40 = bias0;
    let a41 = bias1;
    let a50 = bias0;
    let a51 = bias1;
    for (let at = steps; at < stepsEnd; at += 4) {
      const k = load<u32>(at) as usize;
      const w0 = v128.load(w);
      const w1 = v128.load(w, 16);
      w += STEP_BYTES;
      let x = v128.load32_splat(x0 + k);
      a00 = quads<W>(w0, x, a00);
      a01 = quads<W>(w1, x, a01);
      x = v128.load32_splat(x1 + k);
      a10 = quads<W>(w0, x, a10);
      a11 = quads<W>(w1, x, a11);
      x = v128.load32_splat(x2 + k);
      a20 = quads<W>(w0, x, a20);
      a21 = quads<W>(w1, x, a21);
      x = v128.load32_splat(x3 + k);
      a30 = quads<W>(w0, x, a30);
      a31 = quads<W>(w1, x, a31);
      x = v128.load32_splat(x4 + k);
      a40 = quads<W>(w0, x, a40);
      a41 = quads<W>(w1, x, a41);
      x = v128.load32_splat(x5 + k);
      a50 = quads<W>(w0, x, a50);
      a51 = quads<W>(w1, x, a51);
    }
    const at = to + r * stride;
    const total = totals + r * 4;
    finishRow<W>(a00, a01, least, total, shift, last, valid, at);
    finishRow<W>(a10, a11, least, total + 4, shift, last, valid, at + stride);
    finishRow<W>(a20, a21, least, total + 8, shift, last, valid, at + 2 * stride);
    finishRow<W>(a30, a31, least, total + 12, shift, last, valid, at + 3 * stride);
    finishRow<W>(a40, a41, least, total + 16, shift, last, valid, at + 4 * stride);
    finishRow<W>(a50, a51, least, total + 20, shift, last, valid, at + 5 * stride);
    r += 6;
  }
}

/** Four values as int16, twice. */
@inline
function extended(at: usize): v128 {
  return i16x8.extend_low_i8x16_s(v128.load32_splat(at));
}

/** Adds products of four values with two outputs' weights: lanes (o, o, o+1, o+1) of halves. */
@inline
function halves(weights: v128, values: v128, sum: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(weights, values));
}

/** Sums of four outputs from two vectors of halves. */
@inline
function joined(low: v128, high: v128): v128 {
  return i32x4.add(
    v128.shuffle<i32>(low, high, 0, 2, 4, 6),
    v128.shuffle<i32>(low, high, 1, 3, 5, 7),
  );
}

/** Any int8 values, by int16 products. */
function wide(
  rows: usize,
  count: usize,
  steps: usize,
  stepCount: usize,
  weights: usize,
  bias: usize,
  shift: i32,
  last: bool,
  valid: usize,
  to: usize,
  stride: usize,
): void {
  const bias0 = v128.load(bias);
  const bias1 = v128.load(bias, 16);
  const stepsEnd = steps + stepCount * 4;
  const tile: usize = count < 3 ? 1 : 3;
  for (let r: usize = 0; r < count; r += tile) {
    if (r > count - tile) r = count - tile;
    const x0 = row(rows, r);
    const x1 = tile == 1 ? x0 : row(rows, r + 1);
    const x2 = tile == 1 ? x0 : row(rows, r + 2);
    let a00 = i32x4.splat(0);
    let a01 = a00;
    let a02 = a00;
    let a03 = a00;
    let a10 = a00;
    let a11 = a00;
    let a12 = a00;
    let a13 = a00;
    let a20 = a00;
    let a21 = a00;
    let a22 = a00;
    let a23 = a00;
    let w = weights;
    for (let at = steps; at < stepsEnd; at += 4) {
      const k = load<u32>(at) as usize;
      const v0 = extended(x0 + k);
      const v1 = extended(x1 + k);
      const v2 = extended(x2 + k);
      let m = v128.load_ext<i8>(w);
      a00 = halves(m, v0, a00);
      a10 = halves(m, v1, a10);
      a20 = halves(m, v2, a20);
      m = v128.load_ext<i8>(w, 8);
      a01 = halves(m, v0, a01);
      a11 = halves(m, v1, a11);
      a21 = halves(m, v2, a21);
      m = v128.load_ext<i8>(w, 16);
      a02 = halves(m, v0, a02);
      a12 = halves(m, v1, a12);
      a22 = halves(m, v2, a22);
      m = v128.load_ext<i8>(w, 24);
      a03 = halves(m, v0, a03);
      a13 = halves(m, v1, a13);
      a23 = halves(m, v2, a23);
      w += STEP_BYTES;
    }
    const at = to + r * stride;
    finish(i32x4.add(bias0, joined(a00, a01)), i32x4.add(bias1, joined(a02, a03)), shift, last, valid, at);
    if (tile == 1) continue;
    finish(i32x4.add(bias0, joined(a10, a11)), i32x4.add(bias1, joined(a12, a13)), shift, last, valid, at + stride);
    finish(
      i32x4.add(bias0, joined(a20, a21)),
      i32x4.add(bias1, joined(a22, a23)),
      shift,
      last,
      valid,
      at + 2 * stride,
    );
  }
}

/** Logits without the padding of their rows: `[batch, stride]` to `[batch, actions]` int32. */
export function compact(from: usize, to: usize, batch: usize, stride: usize, actions: usize): void {
  for (let b: usize = 0; b < batch; b++) {
    const source = from + b * stride * 4;
    for (let action: usize = 0; action < actions; action++) {
      store<i32>(to, load<i32>(source + action * 4));
      to += 4;
    }
  }
}

/**
 * Integer Gumbel-max sampling of one step: `logits` is `[batch, stride]` int32, `seeds` `[batch, 4]` words, `table` the 65,536
 * int16 of the Gumbel table; writes `[batch]` uint16. Room for a multiple of four rows is needed everywhere.
 */
export function sample(
  logits: usize,
  batch: usize,
  stride: usize,
  actions: usize,
  seeds: usize,
  step: u32,
  table: usize,
  out: usize,
): void {
  for (let b: usize = 0; b < batch; b += 4) {
    const seed = seeds + b * 16;
    const s0 = v128.load(seed);
    const s1 = v128.load(seed, 16);
    const s2 = v128.load(seed, 32);
    const s3 = v128.load(seed, 48);
    const low01 = v128.shuffle<i32>(s0, s1, 0, 4, 1, 5);
    const low23 = v128.shuffle<i32>(s2, s3, 0, 4, 1, 5);
    const high01 = v128.shuffle<i32>(s0, s1, 2, 6, 3, 7);
    const high23 = v128.shuffle<i32>(s2, s3, 2, 6, 3, 7);
    const key0 = v128.shuffle<i64>(low01, low23, 0, 2);
    const key1 = v128.shuffle<i64>(low01, low23, 1, 3);
    const counter2 = v128.shuffle<i64>(high01, high23, 0, 2);
    const counter3 = v128.shuffle<i64>(high01, high23, 1, 3);
    for (let slot: usize = 0; slot < 4; slot++) store<i32>(best + slot * 8, i32.MIN_VALUE, 4);
    for (let first: usize = 0; first < actions; first += 8) {
      philox(i32x4.splat(step), i32x4.splat((first / 8) as i32), counter2, counter3, key0, key1);
      const end = min(actions, first + 8);
      for (let slot: usize = 0; slot < 4; slot++) {
        let action = load<u32>(best + slot * 8);
        let most = load<i32>(best + slot * 8, 4);
        const row = logits + (b + slot) * stride * 4;
        let noise = words + slot * 4;
        for (let i = first; i < end; i += 2) {
          const word = load<u32>(noise);
          noise += 16;
          const even = load<i32>(row + i * 4) + load<i16>(table + ((word & 0xffff) << 1));
          if (even > most) {
            most = even;
            action = i as u32;
          }
          if (i + 1 == end) break;
          const odd = load<i32>(row + i * 4, 4) + load<i16>(table + ((word >> 16) << 1));
          if (odd > most) {
            most = odd;
            action = (i + 1) as u32;
          }
        }
        store<u32>(best + slot * 8, action);
        store<i32>(best + slot * 8, most, 4);
      }
    }
    for (let slot: usize = 0; slot < 4; slot++) store<u16>(out + (b + slot) * 2, load<u32>(best + slot * 8) as u16);
  }
}

/** Philox4x32-10 of four counters side by side, to `words`: `[word, slot]`. */
@inline
function philox(c0: v128, c1: v128, c2: v128, c3: v128, k0: v128, k1: v128): void {
  const m0 = i32x4.splat(0xd2511f53);
  const m1 = i32x4.splat(0xcd9e8d57);
  const w0 = i32x4.splat(0x9e3779b9);
  const w1 = i32x4.splat(0xbb67ae85);
  for (let round = 0; round < 10; round++) {
    const even0 = i64x2.extmul_low_i32x4_u(c0, m0);
    const odd0 = i64x2.extmul_high_i32x4_u(c0, m0);
    const even1 = i64x2.extmul_low_i32x4_u(c2, m1);
    const odd1 = i64x2.extmul_high_i32x4_u(c2, m1);
    c0 = v128.xor(v128.xor(v128.shuffle<i32>(even1, odd1, 1, 3, 5, 7), c1), k0);
    c2 = v128.xor(v128.xor(v128.shuffle<i32>(even0, odd0, 1, 3, 5, 7), c3), k1);
    c1 = v128.shuffle<i32>(even1, odd1, 0, 2, 4, 6);
    c3 = v128.shuffle<i32>(even0, odd0, 0, 2, 4, 6);
    k0 = i32x4.add(k0, w0);
    k1 = i32x4.add(k1, w1);
  }
  v128.store(words, c0);
  v128.store(words, c1, 16);
  v128.store(words, c2, 32);
  v128.store(words, c3, 48);
}
