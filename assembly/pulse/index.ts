/**
 * PULSE's codec (docs/PROTOCOL.md, PULSE): the diff of two tensors, its code, and the way back.
 *
 * A weight changes with a chance that its class of exponents and the age of its last change predict: its hazard h, a change
 * having the chance 1 − e^−h. The gap to the next change is coded in one step, as a part of [0, 1): its start is the chance
 * that a change comes before this weight, its end that it comes no later. So weights that stay cost no decision at all, only
 * the sum of their hazards; sixteen are summed at a time.
 *
 * Compiled by `npm run build:kernels`; the binary is in src/pulse/binary.ts.
 */
import {
  decodeBit,
  decodeTree,
  drain,
  encodeBit,
  encodePart,
  encodeTree,
  finishEncoder,
  isCanonical,
  overrun,
  readChance,
  refill,
  startDecoder,
  startEncoder,
  takePart,
  unread,
} from './coder';
import {
  ACTIVITY,
  ANY,
  BY_ROWS,
  BASE_BLOCK,
  CHANGED,
  DENSITY,
  HAZARDS,
  INT8_CLASS,
  MARKS_BLOCK,
  OFFSETS,
  OLD,
  PLACES,
  SEEN,
  SEGMENT,
  SHARED_ZEROS,
  TARGET_BLOCK,
} from './layout';
import {
  addFresh,
  chanceOf,
  clearModels,
  collect,
  counted,
  fade,
  fresh,
  hazardBelow,
  hazardMax,
  init,
  mix,
  rebuild,
} from './tables';
import {
  BF16,
  decodeSmall,
  decodeStep,
  decodeValue,
  encodeSmall,
  encodeStep,
  encodeValue,
  enterRow,
  F16,
  F32,
  INT32,
  INT8,
  invalid,
  signBit,
  startRows,
  startSymbols,
  startValues,
  wentDown,
} from './values';

export { clearModels, collect, drain, fade, finishEncoder, init, isCanonical, overrun, refill, startDecoder, startEncoder, startSymbols, unread };

/** Where a gap's code ends at the latest: 2 nats. The rest is coded anew. */
const GAP_MAX: u64 = 1 << 25;
/** A hazard times the factor of its segment: 4 nats at most. */
const HAZARD_CAP: u64 = 1 << 26;
/** A chance of 1. */
const CERTAIN: u64 = 1 << 32;

/** Hazard since the last change or renewal, up to the present segment. */
let gap: u64 = 0;
/** Of the decoder: the chance that was read, and a hazard that it certainly exceeds. */
let chance: u64 = 0;
let reach: u64 = 0;
/** 2^(−q/4), the share of the tensor's weights that change. */
let density: f64 = 0;
let zeros: u32 = 0;
/** Every `stride`-th segment is counted. */
let stride: u64 = 1;
let segment: u64 = 0;
let tensor: u64 = 0;
/** Elements of the tensor in front of the present segment. */
let position: u64 = 0;
/** Elements of a row, and whether rows differ so much that each has a factor of its own. */
let row: u64 = 1;
let byRows: bool = false;
let rowLeft: u64 = 0;
/** Of the present row: changes (2^-10) and expected changes (2^-24), with those that its start assumes. */
let rowCame: u64 = 0;
let rowExpected: u64 = 0;
/** Whether the base may not be looked at: values are whole, every weight has the same hazard. */
let blind: bool = false;

let hashLow: u64 = 0;
let hashHigh: u64 = 0;
let changedTotal: u64 = 0;
/** Whole values that were decoded though the base had them. */
let idleTotal: u64 = 0;

export function startHash(low: u64, high: u64): void {
  hashLow = low;
  hashHigh = high;
}
export function getHashLow(): u64 {
  return hashLow;
}
export function getHashHigh(): u64 {
  return hashHigh;
}
export function getChanged(): u64 {
  return changedTotal;
}
export function getIdle(): u64 {
  return idleTotal;
}
export function isInvalid(): bool {
  return invalid;
}

@inline
function itemShift(kind: i32): usize {
  return kind <= F16 ? 1 : kind == INT8 ? 0 : 2;
}

@inline
function loadItem(kind: i32, at: usize): u32 {
  if (kind <= F16) return <u32>load<u16>(at);
  if (kind == INT8) return <u32>load<u8>(at);
  return load<u32>(at);
}

@inline
function storeItem(kind: i32, at: usize, value: u32): void {
  if (kind <= F16) store<u16>(at, <u16>value);
  else if (kind == INT8) store<u8>(at, <u8>value);
  else store<u32>(at, value);
}

/** Exponent, or for integers the magnitude's bits: the row of a value in the tables. */
@inline
function rowOf(kind: i32, value: u32): u32 {
  if (kind == BF16) return (value >>> 7) & 0xff;
  if (kind == F16) return (value >>> 10) & 0x1f;
  if (kind == F32) return (value >>> 23) & 0xff;
  if (kind == INT8) return <u32>load<u8>(INT8_CLASS + <usize>value);
  return 32 - <u32>clz<u32>(<u32>abs<i32>(<i32>value));
}

@inline
function offsetOf(kind: i32, value: u32, mark: u32): u32 {
  return ((rowOf(kind, value) << 7) | (mark & 127)) << 2;
}

/** Offsets of a group's `count` weights in the hazards. */
@inline
function place(kind: i32, values: usize, marks: usize, count: i32): void {
  if (kind <= F16 && count == 16) {
    const states = v128.and(v128.load(marks), i8x16.splat(127));
    const rows = i16x8.splat(kind == BF16 ? 0x7f80 : 0x7c00);
    let first = v128.and(v128.load(values), rows);
    let second = v128.and(v128.load(values, 16), rows);
    if (kind == F16) {
      first = i16x8.shr_u(first, 3);
      second = i16x8.shr_u(second, 3);
    }
    first = v128.or(first, i16x8.extend_low_i8x16_u(states));
    second = v128.or(second, i16x8.extend_high_i8x16_u(states));
    v128.store(OFFSETS, i32x4.shl(i32x4.extend_low_i16x8_u(first), 2));
    v128.store(OFFSETS, i32x4.shl(i32x4.extend_high_i16x8_u(first), 2), 16);
    v128.store(OFFSETS, i32x4.shl(i32x4.extend_low_i16x8_u(second), 2), 32);
    v128.store(OFFSETS, i32x4.shl(i32x4.extend_high_i16x8_u(second), 2), 48);
    return;
  }
  const shift = itemShift(kind);
  for (let i: usize = 0; i < <usize>count; i++) {
    store<u32>(OFFSETS + (i << 2), offsetOf(kind, loadItem(kind, values + (i << shift)), <u32>load<u8>(marks + i)));
  }
}

@inline
function hazardOfPlace(i: i32): u64 {
  return <u64>load<u32>(HAZARDS + <usize>load<u32>(OFFSETS + (<usize>i << 2)));
}

/** Sum of a group's hazards, at most 2^30. */
@inline
function groupHazard(count: i32): u64 {
  if (count == 16) {
    let even: u32 = 0;
    let odd: u32 = 0;
    for (let i: usize = 0; i < 64; i += 16) {
      even += load<u32>(HAZARDS + <usize>load<u32>(OFFSETS + i));
      odd += load<u32>(HAZARDS + <usize>load<u32>(OFFSETS + i, 4));
      even += load<u32>(HAZARDS + <usize>load<u32>(OFFSETS + i, 8));
      odd += load<u32>(HAZARDS + <usize>load<u32>(OFFSETS + i, 12));
    }
    return <u64>(even + odd);
  }
  let sum: u64 = 0;
  for (let i = 0; i < count; i++) sum += hazardOfPlace(i);
  return sum;
}

/** Counts a group's weights in the contexts that they stand in. */
@inline
function countGroup(count: i32): void {
  for (let i: usize = 0; i < <usize>count; i++) {
    const address = SEEN + <usize>load<u32>(OFFSETS + (i << 2));
    store<u32>(address, load<u32>(address) + 1);
  }
}

/** One bit for each of a group's weights that differ. */
@inline
function difference(kind: i32, base: usize, target: usize, count: i32): u32 {
  if (count == 16) {
    if (kind == INT8) return <u32>i8x16.bitmask(i8x16.ne(v128.load(base), v128.load(target)));
    if (kind <= F16) {
      const first = i16x8.ne(v128.load(base), v128.load(target));
      const second = i16x8.ne(v128.load(base, 16), v128.load(target, 16));
      return <u32>i8x16.bitmask(i8x16.narrow_i16x8_s(first, second));
    }
    let mask: u32 = 0;
    for (let i: usize = 0; i < 4; i++) {
      const part = i32x4.ne(v128.load(base + (i << 4)), v128.load(target + (i << 4)));
      mask |= <u32>i32x4.bitmask(part) << (4 * <u32>i);
    }
    return mask;
  }
  const shift = itemShift(kind);
  let mask: u32 = 0;
  for (let i: usize = 0; i < <usize>count; i++) {
    const differs = loadItem(kind, base + (i << shift)) != loadItem(kind, target + (i << shift));
    mask |= (differs ? 1 : 0) << <u32>i;
  }
  return mask;
}

/** A group's marks grow older by one patch. */
@inline
function grow(marks: usize, count: i32): void {
  if (count == 16) {
    const old = v128.load(marks);
    const young = i8x16.ne(v128.and(old, i8x16.splat(63)), i8x16.splat(63));
    v128.store(marks, i8x16.sub(old, young));
    return;
  }
  for (let i: usize = 0; i < <usize>count; i++) {
    const mark = load<u8>(marks + i);
    if ((mark & 63) != 63) store<u8>(marks + i, mark + 1);
  }
}

/** The mark of a weight that just changed: age 0, whether it reversed the change before, which way it went. */
@inline
function markOf(before: u32, down: u32): u32 {
  const reversed: u32 = (before & 63) != 63 && before >>> 7 != down ? 64 : 0;
  return (down << 7) | reversed;
}

/** Whether a changed value's step goes down, in the sense of its code. */
@inline
function goesDown(kind: i32, old: u32, now: u32): u32 {
  if (kind <= F32) return (now & ~signBit(kind)) < (old & ~signBit(kind)) ? 1 : 0;
  if (kind == INT8) return <i8>now < <i8>old ? 1 : 0;
  return <i32>now < <i32>old ? 1 : 0;
}

/** 0 when none of a segment's weights changed in the last sixteen patches, else one more than their number's logarithm. */
function activityOf(marks: usize, count: i32): usize {
  let young = 0;
  let i = 0;
  for (; i + 16 <= count; i += 16) {
    const ages = v128.and(v128.load(marks + <usize>i), i8x16.splat(63));
    young += popcnt<i32>(i8x16.bitmask(i8x16.lt_u(ages, i8x16.splat(16))));
  }
  for (; i < count; i++) young += (load<u8>(marks + <usize>i) & 63) < 16 ? 1 : 0;
  return <usize>(32 - clz<i32>(young));
}

/** Expected changes that a factor remembers before they count half. */
const MEMORY: u64 = 256 << 24;
/** Changes that it takes to move a factor: as many are expected beforehand as came. */
const INERTIA: u64 = 16;

/** What a segment's hazards are multiplied by, in 2^-10: as often as segments of this activity changed of late. */
@inline
function factorOf(activity: usize): u64 {
  const at = ACTIVITY + (activity << 4);
  return limited(((load<u64>(at) + INERTIA) << 34) / (load<u64>(at, 8) + (INERTIA << 24)));
}

@inline
function limited(factor: u64): u64 {
  return max<u64>(16, min<u64>(min<u64>(factor, 16384), (HAZARD_CAP << 10) / hazardMax));
}

/** Changes that it takes to move a row's own factor. */
const ROW_INERTIA: u64 = 8;

/** The factor of the next segment, where rows have their own. */
function rowFactor(slow: u64): u64 {
  if (rowLeft == 0) {
    rowLeft = row;
    rowExpected = ROW_INERTIA << 24;
    rowCame = ROW_INERTIA * slow;
  }
  return limited((rowCame << 24) / rowExpected);
}

@inline
function learnFactor(activity: usize, changes: u64, hazard: u64): void {
  const at = ACTIVITY + (activity << 4);
  let came = load<u64>(at) + changes;
  let expected = load<u64>(at, 8) + hazard;
  while (expected > MEMORY || came > 65536) {
    expected >>>= 1;
    came >>>= 1;
  }
  store<u64>(at, came);
  store<u64>(at, expected, 8);
}

/** A new table says anew what is to be expected: what factors know counts less. */
function rebuildTables(): void {
  rebuild(density);
  for (let activity: usize = 0; activity < 16; activity++) {
    const at = ACTIVITY + (activity << 4);
    store<u64>(at, load<u64>(at) >>> 2);
    store<u64>(at, load<u64>(at, 8) >>> 2, 8);
  }
}

@inline
function rebuildWhenDue(): void {
  if (fresh >= min<u64>(131072, 512 + (counted >>> 1))) rebuildTables();
}

// Within a segment hazards are summed as products with its factor, 2^-34 nat.

/** The sum at which a gap ends at the latest. */
@inline
function lastSum(): i64 {
  return gap >= GAP_MAX ? 0 : <i64>((GAP_MAX - gap) << 10);
}

/** Up to this sum the change that was read has not come. */
@inline
function reachedSum(): i64 {
  return ((<i64>reach - <i64>gap) << 10) + 1023;
}

@inline
function chanceAt(sum: u64): u64 {
  return chanceOf(gap + (sum >>> 10));
}

@inline
function readReach(): void {
  gap = 0;
  chance = readChance(32);
  reach = hazardBelow(chance);
}

/** Multipliers of the set hash, of each lane, for the SEGMENT elements from `hashed` · SEGMENT on. */
let multiplierLow: u64 = 0;
let multiplierHigh: u64 = 0;
let hashed: u64 = u64.MAX_VALUE;

function setMultipliers(part: u64): void {
  hashed = part;
  const name = (tensor << 40) + part;
  multiplierLow = mix(name * 2 + 0x243f6a8885a308d3) | 1;
  multiplierHigh = mix(name * 2 + 0x13198a2e03707345) | 1;
}

@inline
function hashChange(at: u64, old: u32, now: u32): void {
  const change = <u64>now - <u64>old;
  if (at / SEGMENT != hashed) setMultipliers(at / SEGMENT);
  const place = PLACES + (<usize>(at % SEGMENT) << 3);
  hashLow += multiplierLow * load<u64>(place) * change;
  hashHigh += multiplierHigh * load<u64>(place, 4096) * change;
}

@inline
function hashWith(kind: i32, count: i32): void {
  const shift = itemShift(kind);
  for (let start = 0; start < count; start += SEGMENT) {
    let low: u64 = 0;
    let high: u64 = 0;
    const many = min<i32>(SEGMENT, count - start);
    for (let i = 0; i < many; i++) {
      const value = <u64>loadItem(kind, BASE_BLOCK + (<usize>(start + i) << shift));
      const at = PLACES + (<usize>i << 3);
      low += load<u64>(at) * value;
      high += load<u64>(at, 4096) * value;
    }
    setMultipliers(position / SEGMENT);
    hashLow += multiplierLow * low;
    hashHigh += multiplierHigh * high;
    position += <u64>many;
  }
}

/** Adds a block at BASE_BLOCK to the set hash: bit patterns, so only their width matters. */
export function hashBlock(kind: i32, count: i32): void {
  if (kind <= F16) hashWith(BF16, count);
  else if (kind == INT8) hashWith(INT8, count);
  else hashWith(INT32, count);
}

/** @param elements of a row, the last dimension */
export function startTensor(index: u64, elements: u64): void {
  startRows(elements);
  row = elements;
  tensor = index;
  segment = 0;
  position = 0;
  hashed = u64.MAX_VALUE;
}

/** Bits that some int32 step has: for the tensor's head. */
let stepBits: u32 = 0;
export function getStepBits(): u32 {
  return stepBits;
}
@inline
function countDifferences(kind: i32, from: i32, to: i32): i32 {
  const shift = itemShift(kind);
  let changes = 0;
  for (let i = from; i < to; i += 16) {
    const at = <usize>i << shift;
    changes += popcnt<i32>(difference(kind, BASE_BLOCK + at, TARGET_BLOCK + at, min<i32>(16, to - i)));
  }
  return changes;
}

function countBetween(kind: i32, from: i32, to: i32): i32 {
  if (kind <= F16) return countDifferences(BF16, from, to);
  return kind == INT8 ? countDifferences(INT8, from, to) : countDifferences(INT32, from, to);
}

// How unevenly changes lie in rows, or in the parts of rows that were looked at: Σ k²/length, and the sums beside it.
let squares: f64 = 0;
let parts: f64 = 0;
let surveyedChanges: f64 = 0;
let surveyedElements: f64 = 0;

export function startSurvey(): void {
  stepBits = 0;
  squares = 0;
  parts = 0;
  surveyedChanges = 0;
  surveyedElements = 0;
}

/** Changed weights of a block whose first one is element `first` of its tensor. */
export function surveyBlock(kind: i32, first: u64, count: i32): i32 {
  let changes = 0;
  for (let from = 0; from < count; ) {
    const to = row < 64 ? count : <i32>min<u64>(<u64>count, <u64>from + row - ((first + <u64>from) % row));
    const found = countBetween(kind, from, to);
    squares += (<f64>found * <f64>found) / <f64>(to - from);
    parts += 1;
    changes += found;
    from = to;
  }
  surveyedChanges += <f64>changes;
  surveyedElements += <f64>count;
  if (kind == INT32) {
    for (let at: usize = 0; at < <usize>count << 2; at += 4) {
      const step = <i64>load<i32>(TARGET_BLOCK + at) - <i64>load<i32>(BASE_BLOCK + at);
      stepBits |= <u32>abs<i64>(step);
    }
  }
  return changes;
}

/**
 * Whether rows differ by more than chance does, χ² against the parts' number, and by so much that what a factor of its own
 * costs a row, about ln(1 + k/8) of its k changes, comes back.
 */
export function isUneven(elements: f64): bool {
  if (!mayGoByRows(elements) || surveyedChanges == 0) return false;
  const spread = (squares * surveyedElements) / surveyedChanges - surveyedChanges;
  const eighths = surveyedChanges / parts / 8;
  return spread > 1.25 * parts * (1 + eighths / sqrt<f64>(1 + eighths));
}

/** Starts a patch: every segment's factor is 1 until its activity shows another. */
export function startPatch(overwrites: bool): void {
  blind = overwrites;
  changedTotal = 0;
  idleTotal = 0;
  startValues();
}

/**
 * The head of a tensor: whether anything changed, and what share: 2^(−quarters/4), never less than it is.
 * @param sharedZeros trailing zeros of all int32 steps
 * @param rows whether each row has a factor of its own
 */
export function encodeHead(kind: i32, elements: f64, quarters: i32, sharedZeros: i32, rows: bool): void {
  encodeBit(ANY, quarters < 0 ? 0 : 1);
  if (quarters < 0) return;
  encodeTree(DENSITY, 7, quarters);
  if (kind == INT32 && !blind) encodeTree(SHARED_ZEROS, 5, sharedZeros);
  zeros = sharedZeros;
  byRows = rows;
  if (mayGoByRows(elements)) encodeBit(BY_ROWS, rows ? 1 : 0);
  openTensor(elements, quarters);
}

/** What the head said that was read last. */
let headQuarters: i32 = -1;
export function getQuarters(): i32 {
  return headQuarters;
}
export function getZeros(): u32 {
  return zeros;
}
export function getByRows(): bool {
  return byRows;
}

/** Whether the next tensor changed. */
export function decodeHead(kind: i32, elements: f64): bool {
  headQuarters = -1;
  if (decodeBit(ANY) == 0) return false;
  const quarters = decodeTree(DENSITY, 7);
  headQuarters = quarters;
  zeros = 0;
  if (kind == INT32 && !blind) zeros = decodeTree(SHARED_ZEROS, 5);
  byRows = mayGoByRows(elements) && decodeBit(BY_ROWS) == 1;
  openTensor(elements, quarters);
  readReach();
  return true;
}

/** Several rows of 64 elements and more may have factors of their own; longer ones would not fit the sums of one. */
function mayGoByRows(elements: f64): bool {
  return row >= 64 && row <= 1 << 28 && <f64>row < elements;
}

function openTensor(elements: f64, quarters: i32): void {
  density = 1;
  for (let i = 0; i < quarters >>> 2; i++) density *= 0.5;
  for (let i = 0; i < (quarters & 3); i++) density *= 0.8408964152537145;
  stride = elements <= 65536 ? 1 : elements <= 1048576 ? 4 : 16;
  gap = 0;
  rowLeft = 0;
  rebuildTables();
}

/**
 * Before the only block of a small tensor: its share of changes is known exactly, so all its hazards are scaled to it.
 * Both sides do this, from the base and its marks at BASE_BLOCK and MARKS_BLOCK.
 */
export function scaleBlock(kind: i32, count: i32): void {
  const shift = itemShift(kind);
  let hazard: u64 = 0;
  for (let i: i32 = 0; i < count; i += 1) {
    const offset = blind
      ? <usize>OLD << 2
      : <usize>offsetOf(kind, loadItem(kind, BASE_BLOCK + (<usize>i << shift)), <u32>load<u8>(MARKS_BLOCK + <usize>i));
    hazard += <u64>load<u32>(HAZARDS + offset);
  }
  const came = <u64>min((density * <f64>count * <f64>MEMORY) / <f64>hazard, 65536);
  for (let activity: usize = 0; activity < 16; activity++) {
    store<u64>(ACTIVITY + (activity << 4), came);
    store<u64>(ACTIVITY + (activity << 4), MEMORY, 8);
  }
}

/** Every weight stands in the place of one that never changed: nothing of the base is looked at. */
function placeBlind(): void {
  for (let i: usize = 0; i < 16; i++) store<u32>(OFFSETS + (i << 2), <u32>OLD << 2);
}

/** Weights of the next segment: up to SEGMENT, or to a quarter of that and no further than the row. */
@inline
function segmentLength(left: i32): i32 {
  if (!byRows) return min<i32>(SEGMENT, left);
  return <i32>min<u64>(min<u64>(SEGMENT / 4, <u64>left), rowLeft == 0 ? row : rowLeft);
}

@inline
function countChange(i: i32): void {
  const address = CHANGED + <usize>load<u32>(OFFSETS + (<usize>i << 2));
  store<u32>(address, load<u32>(address) + 1);
}

function endSegment(activity: usize, sum: u64, hazard: u64, changes: u64, isCounted: bool, weights: i32): void {
  gap += sum >>> 10;
  learnFactor(activity, changes, hazard);
  if (byRows) {
    rowLeft -= <u64>weights;
    rowCame += changes << 10;
    rowExpected += hazard;
  }
  position += <u64>weights;
  changedTotal += changes;
  if (isCounted) {
    addFresh(<u64>weights);
    rebuildWhenDue();
  }
  segment++;
}

@inline
function encodeWith(kind: i32, block: i32): void {
  const shift = itemShift(kind);
  const whole = blind;
  if (whole) placeBlind();
  for (let start = 0, segmentEnd = 0; start < block; start = segmentEnd) {
    segmentEnd = start + segmentLength(block - start);
    const activity = whole ? <usize>0 : activityOf(MARKS_BLOCK + <usize>start, segmentEnd - start);
    const slow = factorOf(activity);
    const factor = byRows ? rowFactor(slow) : slow;
    const isCounted = segment % stride == 0;
    let sum: u64 = 0;
    let total: u64 = 0;
    let changes: u64 = 0;
    let last = lastSum();
    for (let at = start; at < segmentEnd; at += 16) {
      const many = min<i32>(16, segmentEnd - at);
      const base = BASE_BLOCK + (<usize>at << shift);
      const target = TARGET_BLOCK + (<usize>at << shift);
      const marks = MARKS_BLOCK + <usize>at;
      if (!whole) place(kind, base, marks, many);
      const hazard = groupHazard(many);
      const mask = difference(kind, base, target, many);
      total += hazard;
      if (isCounted) countGroup(many);
      grow(marks, many);
      const end = sum + hazard * factor;
      if (mask == 0 && <i64>end < last) {
        sum = end;
        continue;
      }
      for (let i = 0; i < many; i++) {
        if (<i64>sum >= last) {
          encodePart(32, chanceAt(sum), CERTAIN);
          gap = 0;
          sum = 0;
          last = lastSum();
        }
        const end = sum + hazardOfPlace(i) * factor;
        if (((mask >>> i) & 1) == 0) {
          sum = end;
          continue;
        }
        encodePart(32, chanceAt(sum), chanceAt(end));
        gap = 0;
        sum = 0;
        last = lastSum();
        changes++;
        const old = loadItem(kind, base + (<usize>i << shift));
        const now = loadItem(kind, target + (<usize>i << shift));
        if (whole) {
          encodeValue(kind, now);
        } else {
          const mark = <u32>load<u8>(marks + <usize>i);
          enterRow(position + <u64>(at - start + i));
          encodeStep(kind, rowOf(kind, old), mark, old, now, zeros);
          store<u8>(marks + <usize>i, <u8>markOf(mark, goesDown(kind, old, now)));
        }
        if (isCounted) countChange(i);
        hashChange(position + <u64>(at - start + i), old, now);
      }
    }
    endSegment(activity, sum, total, changes, isCounted, segmentEnd - start);
  }
}

// Codes a block of a tensor that changed. One function a type: a runtime compiles those that are called.
export function encodeBf16(count: i32): void {
  encodeWith(BF16, count);
}
export function encodeF16(count: i32): void {
  encodeWith(F16, count);
}
export function encodeF32(count: i32): void {
  encodeWith(F32, count);
}
export function encodeInt8(count: i32): void {
  encodeWith(INT8, count);
}
export function encodeInt32(count: i32): void {
  encodeWith(INT32, count);
}

@inline
function decodeWith(kind: i32, block: i32): void {
  const shift = itemShift(kind);
  const whole = blind;
  if (whole) placeBlind();
  for (let start = 0, segmentEnd = 0; start < block; start = segmentEnd) {
    segmentEnd = start + segmentLength(block - start);
    const activity = whole ? <usize>0 : activityOf(MARKS_BLOCK + <usize>start, segmentEnd - start);
    const slow = factorOf(activity);
    const factor = byRows ? rowFactor(slow) : slow;
    const isCounted = segment % stride == 0;
    let sum: u64 = 0;
    let total: u64 = 0;
    let changes: u64 = 0;
    let last = lastSum();
    let reached = reachedSum();
    let limit = min<i64>(reached, last - 1);
    for (let at = start; at < segmentEnd; at += 16) {
      const many = min<i32>(16, segmentEnd - at);
      const base = BASE_BLOCK + (<usize>at << shift);
      const marks = MARKS_BLOCK + <usize>at;
      if (!whole) place(kind, base, marks, many);
      const hazard = groupHazard(many);
      total += hazard;
      if (isCounted) countGroup(many);
      grow(marks, many);
      const end = sum + hazard * factor;
      if (<i64>end <= limit) {
        sum = end;
        continue;
      }
      for (let i = 0; i < many; i++) {
        if (<i64>sum >= last) {
          takePart(32, chanceAt(sum), CERTAIN);
          readReach();
          sum = 0;
          last = lastSum();
          reached = reachedSum();
        }
        const end = sum + hazardOfPlace(i) * factor;
        if (<i64>end <= reached) {
          sum = end;
          continue;
        }
        const to = chanceAt(end);
        if (to <= chance) {
          sum = end;
          continue;
        }
        takePart(32, chanceAt(sum), to);
        changes++;
        const address = base + (<usize>i << shift);
        const old = loadItem(kind, address);
        let now: u32;
        if (whole) {
          now = decodeValue(kind);
          if (now == old) idleTotal++;
        } else {
          const mark = <u32>load<u8>(marks + <usize>i);
          enterRow(position + <u64>(at - start + i));
          now = decodeStep(kind, rowOf(kind, old), mark, old, zeros);
          store<u8>(marks + <usize>i, <u8>markOf(mark, wentDown));
        }
        if (isCounted) countChange(i);
        hashChange(position + <u64>(at - start + i), old, now);
        storeItem(kind, address, now);
        readReach();
        sum = 0;
        last = lastSum();
        reached = reachedSum();
      }
      limit = min<i64>(reached, last - 1);
    }
    endSegment(activity, sum, total, changes, isCounted, segmentEnd - start);
  }
}

// Turns the block at BASE_BLOCK into its target, and its marks into what follows.
export function decodeBf16(count: i32): void {
  decodeWith(BF16, count);
}
export function decodeF16(count: i32): void {
  decodeWith(F16, count);
}
export function decodeF32(count: i32): void {
  decodeWith(F32, count);
}
export function decodeInt8(count: i32): void {
  decodeWith(INT8, count);
}
export function decodeInt32(count: i32): void {
  decodeWith(INT32, count);
}

/** The end of a tensor that changed: no change comes before it. */
export function encodeEnd(): void {
  encodePart(32, chanceOf(gap), CERTAIN);
}

export function decodeEnd(): void {
  takePart(32, chanceOf(gap), CERTAIN);
}

/** Ages the marks of a block that did not change. */
export function growBlock(count: i32): void {
  for (let i = 0; i < count; i += 16) grow(MARKS_BLOCK + <usize>i, min<i32>(16, count - i));
}

/** Whether a tensor's whole values are coded as those of a small one. */
let small: bool = false;

/** Bits that some int32 value of a block at TARGET_BLOCK has, for `getStepBits`. */
export function surveyValues(count: i32): void {
  stepBits = 0;
  for (let at: usize = 0; at < <usize>count << 2; at += 4) stepBits |= <u32>abs<i64>(<i64>load<i32>(TARGET_BLOCK + at));
}

/** Before a tensor's whole values. @param sharedZeros trailing zeros of all values of a small int32 tensor */
export function encodeValuesHead(kind: i32, elements: f64, sharedZeros: i32): void {
  small = kind >= INT8 && elements <= 65536;
  zeros = sharedZeros;
  if (small && kind == INT32) encodeTree(SHARED_ZEROS, 5, sharedZeros);
}

export function decodeValuesHead(kind: i32, elements: f64): void {
  small = kind >= INT8 && elements <= 65536;
  zeros = small && kind == INT32 ? decodeTree(SHARED_ZEROS, 5) : 0;
}

/** Codes whole values, at TARGET_BLOCK. */
export function encodeValues(kind: i32, count: i32): void {
  const shift = itemShift(kind);
  for (let i = 0; i < count; i++) {
    const at = TARGET_BLOCK + (<usize>i << shift);
    if (small) encodeSmall(kind, loadItem(kind, at), zeros);
    else encodeValue(kind, loadItem(kind, at));
  }
}

/** Reads whole values to BASE_BLOCK. */
export function decodeValues(kind: i32, count: i32): void {
  const shift = itemShift(kind);
  for (let i = 0; i < count; i++) {
    const at = BASE_BLOCK + (<usize>i << shift);
    storeItem(kind, at, small ? decodeSmall(kind, zeros) : decodeValue(kind));
  }
}
