/**
 * Sums of multiples of points, by Pippenger's method with signed digits: each window of c bits sorts the points into buckets by digit, buckets are summed in
 * rounds of neighbours (affine.ts), a window's sum is that of its buckets' partial sums. Digits of zero cost nothing, so small
 * scalars and those that are small and negative, most of a witness, are cheap without further ado.
 */
import { addAffine, batchBytes, CANCELLED, TASK } from './affine';
import { CALLER, Q, R, scratch } from './context';
import { copy, HALF_WORDS, mul, pack, PAIR, PLAIN_ONE, PRIME_WORDS, reduce, SINGLE, unpack } from './field';
import { addPoints, setInfinity, setLane, toAffine } from './points';

/** About how many points are in the buckets at a time: what their coordinates take should stay in the cache. */
const TOGETHER: usize = 65536;

// @ts-ignore: decorator
@inline function windowCount(c: usize): usize {
  return (253 + c) / c;
}

function windowsTogether(n: usize, c: usize): usize {
  return min(windowCount(c), max(1, TOGETHER / n));
}

// @ts-ignore: decorator
@inline function aligned(bytes: usize): usize {
  return (bytes + 15) & ~15;
}

// @ts-ignore: decorator
@inline function roomOf(n: usize, buckets: usize, group: usize): usize {
  return (group * n + buckets) / 2 + 2;
}

/** Bytes of `work` for `sumOfMultiples`. */
export function workBytes(k: usize, n: usize, c: usize): usize {
  const windows = windowCount(c);
  const group = windowsTogether(n, c);
  const buckets = group << (c - 1);
  return (
    aligned(2 * windows * n) +
    aligned(4 * buckets) +
    aligned(4 * group * n) +
    aligned(TASK * (group * n / 2 + 2)) +
    2 * roomOf(n, buckets, group) * 2 * k * SINGLE +
    aligned(batchBytes(k)) +
    (windows / 2 + 2) * 3 * k * PAIR + 64
  );
}

/** Signed digits of the scalars, `[windows][n]` int16: those above r / 2 are written as r less, negated. */
function recode(out: usize, scalars: usize, indices: usize, n: usize, c: usize): void {
  memory.fill(out, 0, 2 * windowCount(c) * n);
  const mask: u64 = (1 << c) - 1;
  const half: u64 = 1 << (c - 1);
  for (let i: usize = 0; i < n; i++) {
    const at = scalars + 32 * <usize>load<u32>(indices + 4 * i);
    let w0 = load<u64>(at);
    let w1 = load<u64>(at, 8);
    let w2 = load<u64>(at, 16);
    let w3 = load<u64>(at, 24);
    let sign: i32 = 1;
    if (isAboveHalf(w0, w1, w2, w3)) {
      sign = -1;
      const p0 = load<u64>(R + PRIME_WORDS);
      const p1 = load<u64>(R + PRIME_WORDS, 8);
      const p2 = load<u64>(R + PRIME_WORDS, 16);
      const p3 = load<u64>(R + PRIME_WORDS, 24);
      let borrow: u64 = u64(p0 < w0);
      w0 = p0 - w0;
      let next: u64 = u64(p1 < w1 || (p1 === w1 && borrow !== 0));
      w1 = p1 - w1 - borrow;
      borrow = next;
      next = u64(p2 < w2 || (p2 === w2 && borrow !== 0));
      w2 = p2 - w2 - borrow;
      w3 = p3 - w3 - next;
    }
    let carry: u64 = 0;
    for (let to = out + 2 * i; (w0 | w1 | w2 | w3 | carry) !== 0; to += 2 * n) {
      const bits = (w0 & mask) + carry;
      carry = u64(bits > half);
      const digit = <i32>bits - (<i32>carry << <i32>c);
      store<i16>(to, <i16>(sign * digit));
      w0 = (w0 >> c) | (w1 << (64 - c));
      w1 = (w1 >> c) | (w2 << (64 - c));
      w2 = (w2 >> c) | (w3 << (64 - c));
      w3 >>= c;
    }
  }
}

function isAboveHalf(w0: u64, w1: u64, w2: u64, w3: u64): bool {
  const h3 = load<u64>(R + HALF_WORDS, 24);
  if (w3 !== h3) return w3 > h3;
  const h2 = load<u64>(R + HALF_WORDS, 16);
  if (w2 !== h2) return w2 > h2;
  const h1 = load<u64>(R + HALF_WORDS, 8);
  if (w1 !== h1) return w1 > h1;
  return w0 > load<u64>(R + HALF_WORDS);
}

/**
 * Σ scalar · point over `n` ≥ 1 points, as an affine point at `out` (all zeros: infinity). Of the scalars' signed digits only those of windows
 * `begin` to `end` − 1 are taken, so that several threads may share a sum; ⌈254 / c⌉ are all.
 * @param table affine points, none at infinity
 * @param indices u32: which of `scalars` is each point's
 * @param scalars 32 bytes each, little-endian, below r
 * @param c bits of a window, 2 to 15
 */
export function sumOfMultiples(
  k: usize,
  out: usize,
  table: usize,
  indices: usize,
  n: usize,
  scalars: usize,
  c: usize,
  begin: usize,
  end: usize,
  work: usize,
): void {
  const windows = windowCount(c);
  const group = windowsTogether(n, c);
  const perWindow: usize = 1 << (c - 1);
  const buckets = group * perWindow;
  const point: usize = 2 * k * SINGLE;
  const digits = work;
  const ends = digits + aligned(2 * windows * n);
  const entries = ends + aligned(4 * buckets);
  const tasks = entries + aligned(4 * group * n);
  const first = tasks + aligned(TASK * (group * n / 2 + 2));
  const second = first + roomOf(n, buckets, group) * point;
  const batch = second + roomOf(n, buckets, group) * point;
  const sums = batch + aligned(batchBytes(k));

  recode(digits, scalars, indices, n, c);
  for (let window = begin; window < end; window += group) {
    const here = min(group, end - window);
    const used = here * perWindow;
    sort(digits + 2 * window * n, here, n, perWindow, ends, entries);
    let longest = pairUp(k, table, entries, first, ends, used, tasks, batch);
    let from = first;
    let to = second;
    while (longest > 1) {
      longest = pairUp(k, from, 0, to, ends, used, tasks, batch);
      const swap = from;
      from = to;
      to = swap;
    }
    for (let w: usize = 0; w < here; w++) {
      sumBuckets(k, from, ends, w * perWindow, perWindow, sums + (window + w) * 3 * k * SINGLE);
    }
  }
  horner(k, out, sums, begin, end, c);
}

/** Sorts points into buckets: their indices, twice and plus 1 for negative digits, and where each bucket ends. */
function sort(digits: usize, windows: usize, n: usize, perWindow: usize, ends: usize, entries: usize): void {
  const buckets = windows * perWindow;
  memory.fill(ends, 0, 4 * buckets);
  for (let w: usize = 0; w < windows; w++) {
    const counts = ends + 4 * (w * perWindow) - 4;
    for (let i: usize = 0; i < n; i++) {
      const digit = <i32>load<i16>(digits + 2 * (w * n + i));
      if (digit === 0) continue;
      const at = counts + 4 * <usize>abs(digit);
      store<u32>(at, load<u32>(at) + 1);
    }
  }
  let total: u32 = 0;
  for (let b: usize = 0; b < buckets; b++) {
    const count = load<u32>(ends + 4 * b);
    store<u32>(ends + 4 * b, total);
    total += count;
  }
  for (let w: usize = 0; w < windows; w++) {
    const cursors = ends + 4 * (w * perWindow) - 4;
    for (let i: usize = 0; i < n; i++) {
      const digit = <i32>load<i16>(digits + 2 * (w * n + i));
      if (digit === 0) continue;
      const at = cursors + 4 * <usize>abs(digit);
      const place = load<u32>(at);
      store<u32>(at, place + 1);
      store<u32>(entries + 4 * <usize>place, (<u32>i << 1) | u32(digit < 0));
    }
  }
}

/**
 * One round: adds neighbours within every bucket.
 * @param entries operands of the first round; 0: bucket b's points are those from where b − 1 ends
 * @returns the most points that a bucket still has
 */
function pairUp(
  k: usize,
  from: usize,
  entries: usize,
  to: usize,
  ends: usize,
  buckets: usize,
  tasks: usize,
  batch: usize,
): u32 {
  let count: usize = 0;
  let next: u32 = 0;
  let at: u32 = 0;
  let longest: u32 = 0;
  for (let b: usize = 0; b < buckets; b++) {
    const end = load<u32>(ends + 4 * b);
    const begin = next;
    for (; at + 1 < end; at += 2) {
      const task = tasks + TASK * count++;
      store<u32>(task, entries === 0 ? at << 1 : load<u32>(entries + 4 * <usize>at));
      store<u32>(task, entries === 0 ? (at + 1) << 1 : load<u32>(entries + 4 * <usize>at, 4), 4);
      store<u32>(task, next++, 8);
    }
    if (at < end) {
      copyPoint(k, to, next++, from, entries === 0 ? at << 1 : load<u32>(entries + 4 * <usize>at));
      at++;
    }
    store<u32>(ends + 4 * b, next);
    longest = max(longest, next - begin);
  }
  if (addAffine(k, to, from, tasks, count, batch) !== 0) dropCancelled(k, to, ends, buckets);
  return longest;
}

function copyPoint(k: usize, to: usize, index: u32, from: usize, operand: u32): void {
  const source = from + <usize>(operand >> 1) * 2 * k * SINGLE;
  const target = to + <usize>index * 2 * k * SINGLE;
  const sign = (operand & 1) !== 0 ? -1.0 : 1.0;
  for (let i: usize = 0; i < 5 * k; i++) {
    store<f64>(target + 8 * i, load<f64>(source + 8 * i));
    store<f64>(target + k * SINGLE + 8 * i, sign * load<f64>(source + k * SINGLE + 8 * i));
  }
}

function dropCancelled(k: usize, points: usize, ends: usize, buckets: usize): void {
  let next: u32 = 0;
  let at: u32 = 0;
  for (let b: usize = 0; b < buckets; b++) {
    const end = load<u32>(ends + 4 * b);
    for (; at < end; at++) {
      if (load<f64>(points + <usize>at * 2 * k * SINGLE) === CANCELLED) continue;
      if (next !== at) copyPoint(k, points, next, points, at << 1);
      next++;
    }
    store<u32>(ends + 4 * b, next);
  }
}

/** Σ (i + 1) · bucket i of one window, projective, as three elements by themselves. */
function sumBuckets(k: usize, points: usize, ends: usize, firstBucket: usize, count: usize, out: usize): void {
  // Lane 0 sums the upper half of the buckets, lane 1 the lower one; the upper half's are count / 2 more.
  const size: usize = 3 * k * PAIR;
  const running = scratch + CALLER;
  const total = running + size;
  const bucket = total + size;
  const half = count >> 1;
  setInfinity(k, running);
  setInfinity(k, total);
  for (let i = half; i-- > 0; ) {
    const low = firstBucket + i;
    const lowAt: u32 = low === 0 ? 0 : load<u32>(ends + 4 * low - 4);
    const lowEnd = load<u32>(ends + 4 * low);
    const high = low + half;
    const highAt = load<u32>(ends + 4 * high - 4);
    const highEnd = load<u32>(ends + 4 * high);
    if (lowAt < lowEnd || highAt < highEnd) {
      setInfinity(k, bucket);
      if (highAt < highEnd) setLane(k, bucket, 0, points + <usize>highAt * 2 * k * SINGLE, false);
      if (lowAt < lowEnd) setLane(k, bucket, 1, points + <usize>lowAt * 2 * k * SINGLE, false);
      addPoints(k, running, running, bucket);
    }
    addPoints(k, total, total, running);
  }
  // total₀ + total₁ + half · running₀
  spread(k, bucket, running, 0);
  for (let times: usize = 1; times < half; times <<= 1) addPoints(k, bucket, bucket, bucket);
  spread(k, running, total, 0);
  addPoints(k, bucket, bucket, running);
  spread(k, running, total, 8);
  addPoints(k, bucket, bucket, running);
  for (let i: usize = 0; i < 15 * k; i++) store<f64>(out + 8 * i, load<f64>(bucket + 16 * i));
}

/** One lane of a projective pair in both. */
function spread(k: usize, out: usize, from: usize, lane: usize): void {
  for (let i: usize = 0; i < 15 * k; i++) v128.store(out + 16 * i, v128.load64_splat(from + 16 * i + lane));
}

/** Σ 2^(c·w) · sums[w] over begin ≤ w < end as an affine point. */
function horner(k: usize, out: usize, sums: usize, begin: usize, end: usize, c: usize): void {
  const total = scratch + CALLER;
  const window = total + 3 * k * PAIR;
  setInfinity(k, total);
  for (let w = end; w-- > 0; ) {
    for (let i: usize = 0; i < c; i++) addPoints(k, total, total, total);
    if (w < begin) continue;
    for (let i: usize = 0; i < 15 * k; i++) {
      v128.store(window + 16 * i, v128.load64_splat(sums + w * 3 * k * SINGLE + 8 * i));
    }
    addPoints(k, total, total, window);
  }
  const both = window + 3 * k * PAIR;
  toAffine(k, both, total);
  memory.copy(out, both, 2 * k * SINGLE);
}

/**
 * Numbers of 32 bytes, little-endian, times `factor` (a pair with equal lanes, in Montgomery form), as single numbers.
 */
export function importNumbers(f: usize, out: usize, from: usize, count: usize, factor: usize): void {
  const pair = scratch + CALLER;
  for (let i: usize = 0; i < count; i += 2) {
    const both = i + 1 < count;
    unpack(pair, from + 32 * i, both ? from + 32 * i + 32 : from + 32 * i);
    mul(f, pair, pair, factor);
    reduce(f, pair, pair);
    for (let d: usize = 0; d < 5; d++) {
      store<f64>(out + i * SINGLE + 8 * d, load<f64>(pair + 16 * d));
      if (both) store<f64>(out + (i + 1) * SINGLE + 8 * d, load<f64>(pair + 16 * d, 8));
    }
  }
}

/** Single numbers in Montgomery form as canonical numbers of 32 bytes. */
export function exportNumbers(f: usize, out: usize, from: usize, count: usize): void {
  const pair = scratch + CALLER;
  for (let i: usize = 0; i < count; i++) {
    for (let d: usize = 0; d < 5; d++) v128.store(pair + 16 * d, v128.load64_splat(from + i * SINGLE + 8 * d));
    mul(f, pair, pair, f + PLAIN_ONE);
    reduce(f, pair, pair);
    pack(f, out + 32 * i, pair);
  }
}
