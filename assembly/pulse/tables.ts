import { EVEN } from './coder';
import {
  ACTIVITY,
  BITS,
  BITS_END,
  BUCKET,
  CHANCE,
  CHANCE_INDEX,
  CHANGED,
  CHANGES,
  HAZARDS,
  INT8_CLASS,
  MODELS_END,
  PLACES,
  RATES,
  SEEN,
  SYMBOLS,
  WEIGHTS,
} from './layout';

/** e^(−1/64). */
const DECAY: f64 = 0.9844964370054085;
const LN2: f64 = 0.6931471805599453;
const ONE: f64 = 4294967296; // 2^32
const NAT: f64 = 16777216; // 2^24
/** The least hazard: with the least factor of a segment it still moves the code. */
const HAZARD_MIN: f64 = 256;

/** Chances of 2^32 by hazard: [pieces], beyond the largest sum of hazards that a code can reach. */
const PIECES: i32 = 512;

/** Makes the constant tables. */
export function init(): void {
  let rest = ONE;
  for (let j = 0; j < PIECES; j++) {
    store<u64>(CHANCE + (<usize>j << 3), <u64>(ONE - rest));
    rest *= DECAY;
  }
  for (let i = 0, j = 0; i < 512; i++) {
    while (j + 1 < PIECES && load<u64>(CHANCE + (<usize>(j + 1) << 3)) <= <u64>i << 23) j++;
    store<u16>(CHANCE_INDEX + (<usize>i << 1), <u16>j);
  }
  for (let age = 0; age < 64; age++) store<u8>(BUCKET + <usize>age, <u8>bucketOf(age));
  for (let value = 0; value < 256; value++) {
    store<u8>(INT8_CLASS + <usize>value, <u8>(32 - clz<u32>(abs<i32>(<i32>(<i8>value)))));
  }
  for (let seen = 0; seen < 256; seen++) store<u16>(RATES + (<usize>seen << 1), <u16>(131072 / (2 * seen + 3)));
  for (let place = 0; place < 1024; place++) {
    store<u64>(PLACES + (<usize>place << 3), mix(0x9e3779b97f4a7c15 * (<u64>place + 1)) | 1);
  }
}

function bucketOf(age: i32): i32 {
  if (age < 4) return age;
  if (age < 6) return 4;
  if (age < 8) return 5;
  if (age < 11) return 6;
  if (age < 15) return 7;
  if (age < 20) return 8;
  if (age < 28) return 9;
  if (age < 40) return 10;
  return age < 63 ? 11 : 12;
}

/** SplitMix64's output function: Steele, Lea and Flood, 2014. */
export function mix(value: u64): u64 {
  value = (value ^ (value >>> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >>> 27)) * 0x94d049bb133111eb;
  return value ^ (value >>> 31);
}

/** Models that have seen nothing. */
export function clearModels(): void {
  memory.fill(SEEN, 0, CHANGES - SEEN);
  memory.fill(CHANGES, 0, BITS - CHANGES);
  for (let context: usize = 0; context < BITS_END; context++) store<u32>(BITS + (context << 2), EVEN);
  for (let symbol: usize = 0; symbol < 1024; symbol++) store<u32>(SYMBOLS + (symbol << 2), 0);
  memory.fill(ACTIVITY, 0, MODELS_END - ACTIVITY);
}

/** Counted weights since the last rebuild, and in the models. */
export let fresh: u64 = 0;
export let counted: u64 = 0;
/** The largest hazard of the table. */
export let hazardMax: u64 = 0;

export function addFresh(weights: u64): void {
  fresh += weights;
}

/** Adds what was counted since the last rebuild to the models. */
export function collect(): void {
  if (fresh == 0) return;
  fresh = 0;
  for (let row: usize = 0; row < 256; row++) {
    for (let mark: usize = 0; mark < 128; mark++) {
      const from = ((row << 7) | mark) << 2;
      const seen = load<u32>(SEEN + from);
      if (seen == 0) continue;
      const to = ((row << 5) | ((mark >>> 6) << 4) | <usize>load<u8>(BUCKET + (mark & 63))) << 2;
      const weights = load<u32>(WEIGHTS + to) + seen;
      const changes = load<u32>(CHANGES + to) + load<u32>(CHANGED + from);
      const halve: u32 = weights > 0x40000000 ? 1 : 0;
      store<u32>(WEIGHTS + to, weights >>> halve);
      store<u32>(CHANGES + to, changes >>> halve);
      store<u32>(SEEN + from, 0);
      store<u32>(CHANGED + from, 0);
    }
  }
}

/**
 * The hazards that the models give. A class of exponents is expected to change as often as `density` until its own counts
 * say otherwise, a context as its class does.
 */
export function rebuild(density: f64): void {
  collect();
  counted = 0;
  hazardMax = 0;
  for (let row: usize = 0; row < 256; row++) {
    const counts = WEIGHTS + (row << 7);
    let weights: f64 = 0;
    let changes: f64 = 0;
    for (let context: usize = 0; context < 32; context++) {
      weights += <f64>load<u32>(counts + (context << 2));
      changes += <f64>load<u32>(counts + (CHANGES - WEIGHTS) + (context << 2));
    }
    counted += <u64>weights;
    const expected = (changes + 1) / (weights + 1 / density);
    const out = HAZARDS + (row << 9);
    if (weights == 0) {
      const hazard = hazardOf(expected);
      for (let mark: usize = 0; mark < 128; mark++) store<u32>(out + (mark << 2), hazard);
      continue;
    }
    for (let reversed: usize = 0; reversed < 2; reversed++) {
      let bucket: usize = 16;
      let hazard: u32 = 0;
      for (let age: usize = 0; age < 64; age++) {
        const now = <usize>load<u8>(BUCKET + age);
        if (now != bucket) {
          bucket = now;
          const from = counts + (((reversed << 4) | bucket) << 2);
          const n = <f64>load<u32>(from);
          const k = <f64>load<u32>(from + (CHANGES - WEIGHTS));
          hazard = hazardOf((k + 1) / (n + 1 / expected));
        }
        store<u32>(out + (((reversed << 6) | age) << 2), hazard);
      }
    }
  }
}

/** −ln(1 − p) in 2^-24 nat, of a chance p in (0, 1). IEEE operations in a fixed order, so the same everywhere. */
function hazardOf(chance: f64): u32 {
  let rest = 1 - min(chance, 0.98);
  let nats: f64 = 0;
  while (rest < 0.5) {
    rest *= 2;
    nats += LN2;
  }
  const z = (1 - rest) / (1 + rest);
  const square = z * z;
  let power = z;
  let sum: f64 = 0;
  for (let odd: f64 = 1; odd < 17; odd += 2) {
    sum += power / odd;
    power *= square;
  }
  nats += 2 * sum;
  const hazard = <u32>max(nats * NAT, HAZARD_MIN);
  hazardMax = max(hazardMax, <u64>hazard);
  return hazard;
}

/** Lets the counts of a finished patch fade, so that the models follow a chain that changes. */
export function fade(): void {
  collect();
  for (let context: usize = 0; context < 8192; context++) {
    const address = WEIGHTS + (context << 2);
    store<u32>(address, faded(load<u32>(address)));
    store<u32>(address + (CHANGES - WEIGHTS), faded(load<u32>(address + (CHANGES - WEIGHTS))));
  }
}

@inline
function faded(count: u32): u32 {
  return count - ((count + 7) >>> 3);
}

/** 2^32·(1 − e^−x) of a hazard x, by linear pieces of 1/64 nat. */
@inline
export function chanceOf(hazard: u64): u64 {
  const piece = CHANCE + (<usize>(hazard >>> 18) << 3);
  const start = load<u64>(piece);
  return start + (((load<u64>(piece, 8) - start) * (hazard & 0x3ffff)) >>> 18);
}

/** A hazard whose chance is at most `chance`, less than a piece below the largest one; no limit beyond the table. */
@inline
export function hazardBelow(chance: u64): u64 {
  let piece = <usize>load<u16>(CHANCE_INDEX + (<usize>(chance >>> 23) << 1));
  while (piece < 511 && load<u64>(CHANCE + ((piece + 1) << 3)) <= chance) piece++;
  return piece == 511 ? 1 << 40 : <u64>piece << 18;
}
