/**
 * Many affine additions that share one inversion: about six products each instead of the fourteen of `addPoints`. Equal and opposite points are
 * recognised by the product of all denominators, which is then zero, and put right one by one.
 */
import { CALLER, Q, scratch } from './context';
import { copy, ONE, PAIR, SINGLE } from './field';
import {
  invert,
  minus,
  minusReduced,
  multiply,
  plus,
  reduced,
  triple,
  zeroLanes,
} from './tower';

/** Additions that share an inversion, by two. */
const BATCH: usize = 1024;
/** Bytes of a task: two operands, each twice its index plus 1 if it is to be negated, and the index of the result. */
export const TASK: usize = 12;
/** In the first coordinate of a result: the points were opposite. */
export const CANCELLED: f64 = Infinity;

const DOUBLES: u32 = 1;
const CANCELS: u32 = 4;

export function batchBytes(k: usize): usize {
  return BATCH * (2 * k * PAIR + 4);
}

/**
 * Does `count` tasks on the points at `from`, results to `out`. Operands and results must not overlap.
 * @returns how many results are CANCELLED
 */
export function addAffine(k: usize, out: usize, from: usize, tasks: usize, count: usize, work: usize): usize {
  let cancelled: usize = 0;
  for (let done: usize = 0; done < count; done += 2 * BATCH) {
    cancelled += addBatch(k, out, from, tasks + done * TASK, min(count - done, 2 * BATCH), work);
  }
  return cancelled;
}

/** One coordinate of two points as an element: `coordinate` 0 for x, 1 for y. */
// @ts-ignore: decorator
@inline function gather(k: usize, out: usize, from: usize, a: u32, b: u32, coordinate: usize): void {
  const offset = coordinate * k * SINGLE;
  const first = from + <usize>(a >> 1) * 2 * k * SINGLE + offset;
  const second = from + <usize>(b >> 1) * 2 * k * SINGLE + offset;
  const signs = v128.shl<i64>(v128.replace_lane<i64>(i64x2.splat(<i64>(a & 1)), 1, <i64>(b & 1)), 63);
  for (let i: usize = 0; i < 5 * k; i++) {
    const both = v128.load_lane<u64>(second + 8 * i, v128.load_zero<u64>(first + 8 * i), 1);
    v128.store(out + 16 * i, coordinate === 0 ? both : v128.xor(both, signs));
  }
}

// @ts-ignore: decorator
@inline function scatter(k: usize, to: usize, x: usize, y: usize, lane: usize): void {
  for (let i: usize = 0; i < 5 * k; i++) {
    store<u64>(to + 8 * i, load<u64>(x + 16 * i + lane));
    store<u64>(to + k * SINGLE + 8 * i, load<u64>(y + 16 * i + lane));
  }
}

function addBatch(k: usize, out: usize, from: usize, tasks: usize, count: usize, work: usize): usize {
  const size = k * PAIR;
  const pairs = (count + 1) >> 1;
  const denominators = work;
  const prefixes = work + BATCH * size;
  const kinds = prefixes + BATCH * size;
  const x1 = scratch + CALLER;
  const x2 = x1 + size;
  const y1 = x2 + size;
  const y2 = y1 + size;
  const product = y2 + size;
  const slope = product + size;
  const t = slope + size;

  memory.fill(product, 0, size);
  copy(product, Q + ONE, PAIR);
  for (let i: usize = 0; i < pairs; i++) {
    const task = tasks + 2 * i * TASK;
    // An odd one out is done twice.
    const other = i + i + 1 < count ? task + TASK : task;
    gather(k, x1, from, load<u32>(task), load<u32>(other), 0);
    gather(k, x2, from, load<u32>(task, 4), load<u32>(other, 4), 0);
    const d = denominators + i * size;
    if (k === 1) minus(1, d, x2, x1);
    else minusReduced(k, d, x2, x1);
    copy(prefixes + i * size, product, size);
    multiply(k, product, product, d);
  }
  reduced(k, t, product);
  const exceptional = zeroLanes(k, t) !== 0;
  let cancelled: usize = 0;
  if (exceptional) {
    memory.fill(kinds, 0, 4 * pairs);
    memory.fill(product, 0, size);
    copy(product, Q + ONE, PAIR);
    for (let i: usize = 0; i < pairs; i++) {
      const task = tasks + 2 * i * TASK;
      const other = i + i + 1 < count ? task + TASK : task;
      const d = denominators + i * size;
      reduced(k, t, d);
      const lanes = zeroLanes(k, t);
      if (lanes !== 0) {
        gather(k, y1, from, load<u32>(task), load<u32>(other), 1);
        gather(k, y2, from, load<u32>(task, 4), load<u32>(other, 4), 1);
        minusReduced(k, t, y2, y1);
        const equal = zeroLanes(k, t);
        plus(k, t, y1, y1);
        reduced(k, t, t);
        let kind: u32 = 0;
        for (let lane: usize = 0; lane < 2; lane++) {
          const bit = 1 << <i32>lane;
          if ((lanes & bit) === 0) continue;
          const doubles = (equal & bit) !== 0;
          kind |= (doubles ? DOUBLES : CANCELS) << <u32>lane;
          if (!doubles && (lane === 0 || other !== task)) cancelled++;
          for (let j: usize = 0; j < 5 * k; j++) {
            const value = doubles ? load<f64>(t + 16 * j + 8 * lane) : j < 5 ? load<f64>(Q + ONE + 16 * j) : 0.0;
            store<f64>(d + 16 * j + 8 * lane, value);
          }
        }
        store<u32>(kinds + 4 * i, kind);
      }
      copy(prefixes + i * size, product, size);
      multiply(k, product, product, d);
    }
  }

  invert(k, product, product);
  for (let i = pairs; i-- > 0; ) {
    const task = tasks + 2 * i * TASK;
    const other = i + i + 1 < count ? task + TASK : task;
    multiply(k, t, product, prefixes + i * size);
    multiply(k, product, product, denominators + i * size);
    const a = load<u32>(task);
    const b = load<u32>(other);
    const c = load<u32>(task, 4);
    const e = load<u32>(other, 4);
    gather(k, x1, from, a, b, 0);
    gather(k, x2, from, c, e, 0);
    gather(k, y1, from, a, b, 1);
    gather(k, y2, from, c, e, 1);
    const kind = exceptional ? load<u32>(kinds + 4 * i) : 0;
    minus(k, y2, y2, y1);
    if ((kind & (3 * DOUBLES)) !== 0) tangent(k, y2, x1, kind, slope);
    multiply(k, slope, y2, t);
    multiply(k, t, slope, slope);
    plus(k, x2, x2, x1);
    minusReduced(k, x2, t, x2);
    minus(k, x1, x1, x2);
    multiply(k, t, slope, x1);
    minusReduced(k, y1, t, y1);
    const to = out + <usize>load<u32>(task, 8) * 2 * k * SINGLE;
    scatter(k, to, x2, y1, 0);
    if ((kind & CANCELS) !== 0) store<f64>(to, CANCELLED);
    if (other !== task) {
      const next = out + <usize>load<u32>(other, 8) * 2 * k * SINGLE;
      scatter(k, next, x2, y1, 8);
      if ((kind & (CANCELS << 1)) !== 0) store<f64>(next, CANCELLED);
    }
  }
  return cancelled;
}

/** The lanes of `numerator` that double become 3·x². */
function tangent(k: usize, numerator: usize, x: usize, kind: u32, work: usize): void {
  const squares = work + 2 * k * PAIR;
  multiply(k, work, x, x);
  triple(k, squares, work);
  for (let lane: usize = 0; lane < 2; lane++) {
    if ((kind & (DOUBLES << <u32>lane)) === 0) continue;
    for (let j: usize = 0; j < 5 * k; j++) {
      store<f64>(numerator + 16 * j + 8 * lane, load<f64>(squares + 16 * j + 8 * lane));
    }
  }
}
