import {
  decodeBit,
  decodeRaw,
  encodeBit,
  encodePart,
  encodeRaw,
  readChance,
  takePart,
} from './coder';
import { BUCKET, DUE, FREQUENCIES, LENGTH, LENGTH_FLIPPED, LOOKUP, MAGNITUDE, SIGN, SINCE, STARTS, SYMBOLS } from './layout';

/**
 * How a changed weight's new value is coded: as a step from the old one in units of the last place, its sign in the context
 * of the last change's age and direction, its size in that of the old value's exponent.
 */

// Kinds of elements.
export const BF16 = 0;
export const F16 = 1;
export const F32 = 2;
export const INT8 = 3;
export const INT32 = 4;

/** Set when what was decoded cannot be: the code is refused. */
export let invalid: bool = false;

export function startValues(): void {
  invalid = false;
}

export function refuse(): void {
  invalid = true;
}

@inline
export function signBit(kind: i32): u32 {
  return kind == F32 ? 0x80000000 : 0x8000;
}

// Changes of one row of a tensor go alike: one output's error is in all of their gradients.
let rowLength: u64 = 1;
let rowEnd: u64 = 0;
/** Of the last change in the row: 0 none, 1 up, 2 down; and its size, at most 3. */
let lastWay: u32 = 0;
let lastSize: u32 = 0;

export function startRows(length: u64): void {
  rowLength = length;
  rowEnd = 0;
}

/** The row of a position; what the last row's changes were is forgotten. */
@inline
export function enterRow(position: u64): void {
  if (position < rowEnd) return;
  rowEnd = (position / rowLength + 1) * rowLength;
  lastWay = 0;
  lastSize = 0;
}

/** Where a weight's own last change is not known, the row's last change says more. */
@inline
function signContext(mark: u32): usize {
  const own = (mark & 63) == 63 ? lastWay : (mark >>> 6) & 3;
  return SIGN + ((<usize>load<u8>(BUCKET + (mark & 63)) << 2) | own);
}

/** Contexts of a step's size: of floats by the old value's exponent, of integers by the size of the row's last step. */
@inline
function sizeRow(kind: i32, row: u32): usize {
  return <usize>(kind <= F32 ? row : lastSize);
}

function encodeLength(contexts: usize, value: u64): void {
  const length = 63 - <u32>clz<u64>(value);
  for (let j: usize = 0; j < 33; j++) {
    encodeBit(contexts + j, <u32>(j < <usize>length));
    if (j == <usize>length) break;
  }
  let rest = length;
  if (rest == 0) return;
  rest--;
  encodeBit(contexts + 32 + rest, <u32>(value >>> rest) & 1);
  while (rest > 0) {
    const bits = min<u32>(rest, 16);
    rest -= bits;
    encodeRaw(bits, (value >>> rest) & ((1 << bits) - 1));
  }
}

/** A number from 1 to 2^33 − 1; 0 when the code holds a longer one. */
function decodeLength(contexts: usize): u64 {
  let length: u32 = 0;
  while (length < 33 && decodeBit(contexts + length) == 1) length++;
  if (length == 33) return 0;
  let value: u64 = 1;
  let rest = length;
  if (rest == 0) return 1;
  rest--;
  value = 2 | <u64>decodeBit(contexts + 32 + rest);
  while (rest > 0) {
    const bits = min<u32>(rest, 16);
    rest -= bits;
    value = (value << bits) | decodeRaw(bits);
  }
  return value;
}

/** Codes the step from `old` to `now`, which differs. `row`: exponent class; `zeros`: trailing zeros that all steps share. */
export function encodeStep(kind: i32, row: u32, mark: u32, old: u32, now: u32, zeros: u32): void {
  let step: i64;
  let flip: u32 = 0;
  if (kind <= F32) {
    const sign = signBit(kind);
    flip = ((old ^ now) & sign) != 0 ? 1 : 0;
    step = <i64>(now & ~sign) - <i64>(old & ~sign);
  } else if (kind == INT8) {
    step = <i64>(<i8>now) - <i64>(<i8>old);
  } else {
    step = (<i64>(<i32>now) - <i64>(<i32>old)) >> zeros;
  }
  const size = <u64>abs<i64>(step);
  const line = sizeRow(kind, row);
  const contexts = MAGNITUDE + (line << 2);
  encodeBit(signContext(mark), step < 0 ? 1 : 0);
  lastWay = step < 0 ? 2 : 1;
  lastSize = <u32>min<u64>(size, 3);
  const more = size != 1 || flip != 0;
  encodeBit(contexts, more ? 1 : 0);
  if (!more) return;
  const still = size != 2 || flip != 0;
  encodeBit(contexts + 1, still ? 1 : 0);
  if (!still) return;
  if (kind <= F32) encodeBit(contexts + 2, flip);
  if (flip) encodeLength(LENGTH_FLIPPED, size + 1);
  else encodeLength(LENGTH + (line << 6), size - 2);
}

/** Whether the last step decoded went down. */
export let wentDown: u32 = 0;

/** The value after a coded step. */
export function decodeStep(kind: i32, row: u32, mark: u32, old: u32, zeros: u32): u32 {
  const line = sizeRow(kind, row);
  const contexts = MAGNITUDE + (line << 2);
  const down = decodeBit(signContext(mark));
  wentDown = down;
  let size: u64 = 1;
  let flip: u32 = 0;
  if (decodeBit(contexts) == 1) {
    size = 2;
    if (decodeBit(contexts + 1) == 1) {
      if (kind <= F32) flip = decodeBit(contexts + 2);
      const length = decodeLength(flip ? LENGTH_FLIPPED : LENGTH + (line << 6));
      size = flip ? length - 1 : length + 2;
      if (length == 0 || (flip != 0 && size == 0 && down == 1)) {
        refuse();
        return old;
      }
    }
  }
  lastWay = 1 + down;
  lastSize = <u32>min<u64>(size, 3);
  const step = down ? -(<i64>size) : <i64>size;
  if (kind <= F32) {
    const sign = signBit(kind);
    const value = <i64>(old & ~sign) + step;
    if (value < 0 || value >= <i64>sign) {
      refuse();
      return old;
    }
    return <u32>value | ((old & sign) ^ (flip ? sign : 0));
  }
  if (kind == INT8) {
    const value = <i64>(<i8>old) + step;
    if (value < -128 || value > 127) {
      refuse();
      return old;
    }
    return <u32>value & 0xff;
  }
  if (size >= (<u64>1 << (33 - zeros))) {
    refuse();
    return old;
  }
  const value = <i64>(<i32>old) + (step << zeros);
  if (value < i32.MIN_VALUE || value > i32.MAX_VALUE) {
    refuse();
    return old;
  }
  return <u32>value;
}

// Whole values: anchors, and patches that overwrite. A symbol of eight bits is coded by how often it came, the rest as it is.

const TOTAL: u32 = 4096;

export function startSymbols(): void {
  for (let model: usize = 0; model < 4; model++) makeFrequencies(model);
}

/** Frequencies of at least 1 that sum to 4,096, in the proportions of the counts. */
function makeFrequencies(model: usize): void {
  const counts = SYMBOLS + (model << 10);
  let total: u64 = 0;
  for (let symbol: usize = 0; symbol < 256; symbol++) total += <u64>load<u32>(counts + (symbol << 2));
  const starts = STARTS + (model << 9);
  const frequencies = FREQUENCIES + (model << 9);
  let given: u32 = 0;
  let largest: usize = 0;
  for (let symbol: usize = 0; symbol < 256; symbol++) {
    const share = <u32>(((4 * <u64>load<u32>(counts + (symbol << 2)) + 1) * (TOTAL - 256)) / (4 * total + 256));
    store<u16>(frequencies + (symbol << 1), <u16>(share + 1));
    given += share + 1;
    if (load<u16>(frequencies + (symbol << 1)) > load<u16>(frequencies + (largest << 1))) largest = symbol;
  }
  const top = frequencies + (largest << 1);
  store<u16>(top, <u16>(load<u16>(top) + (TOTAL - given)));
  let start: u32 = 0;
  for (let symbol: usize = 0; symbol < 256; symbol++) {
    store<u16>(starts + (symbol << 1), <u16>start);
    const next = start + load<u16>(frequencies + (symbol << 1));
    memory.fill(LOOKUP + (model << 12) + start, <u8>symbol, next - start);
    start = next;
  }
  // Old counts fade: later tensors may look different.
  if (total > 1 << 20) {
    for (let symbol: usize = 0; symbol < 256; symbol++) {
      const address = counts + (symbol << 2);
      store<u32>(address, load<u32>(address) >>> 1);
    }
  }
  store<u32>(SINCE + (model << 2), 0);
  store<u32>(DUE + (model << 2), <u32>min<u64>(max<u64>(total >>> 2, 16), 16384));
}

@inline
function countSymbol(model: usize, symbol: usize): void {
  const count = SYMBOLS + (model << 10) + (symbol << 2);
  store<u32>(count, load<u32>(count) + 1);
  const coded = load<u32>(SINCE + (model << 2)) + 1;
  store<u32>(SINCE + (model << 2), coded);
  if (coded >= load<u32>(DUE + (model << 2))) makeFrequencies(model);
}

@inline
function encodeSymbol(model: usize, symbol: usize): void {
  const start = <u64>load<u16>(STARTS + (model << 9) + (symbol << 1));
  encodePart(12, start, start + <u64>load<u16>(FREQUENCIES + (model << 9) + (symbol << 1)));
  countSymbol(model, symbol);
}

@inline
function decodeSymbol(model: usize): usize {
  const symbol = <usize>load<u8>(LOOKUP + (model << 12) + <usize>readChance(12));
  const start = <u64>load<u16>(STARTS + (model << 9) + (symbol << 1));
  takePart(12, start, start + <u64>load<u16>(FREQUENCIES + (model << 9) + (symbol << 1)));
  countSymbol(model, symbol);
  return symbol;
}

/** A whole value: of floats the eight bits behind the sign by a model, the others as they are; of integers every byte by one. */
@inline
export function encodeValue(kind: i32, value: u32): void {
  if (kind <= F16) {
    encodeSymbol(0, (value >>> 7) & 0xff);
    encodePart(8, ((value >>> 8) & 0x80) | (value & 0x7f), (((value >>> 8) & 0x80) | (value & 0x7f)) + 1);
  } else if (kind == F32) {
    encodeSymbol(0, (value >>> 23) & 0xff);
    encodeSymbol(1, (value >>> 15) & 0xff);
    const rest = <u64>(((value >>> 16) & 0x8000) | (value & 0x7fff));
    encodePart(16, rest, rest + 1);
  } else if (kind == INT8) {
    encodeSymbol(0, value & 0xff);
  } else {
    encodeSymbol(3, value >>> 24);
    encodeSymbol(2, (value >>> 16) & 0xff);
    encodeSymbol(1, (value >>> 8) & 0xff);
    encodeSymbol(0, value & 0xff);
  }
}

@inline
export function decodeValue(kind: i32): u32 {
  if (kind <= F16) {
    const symbol = <u32>decodeSymbol(0);
    const rest = <u32>decodeRaw(8);
    return ((rest & 0x80) << 8) | (symbol << 7) | (rest & 0x7f);
  }
  if (kind == F32) {
    const upper = <u32>decodeSymbol(0) << 23;
    const middle = <u32>decodeSymbol(1) << 15;
    const rest = <u32>decodeRaw(16);
    return ((rest & 0x8000) << 16) | upper | middle | (rest & 0x7fff);
  }
  if (kind == INT8) return <u32>decodeSymbol(0);
  const top = <u32>decodeSymbol(3) << 24;
  const third = <u32>decodeSymbol(2) << 16;
  const second = <u32>decodeSymbol(1) << 8;
  return top | third | second | <u32>decodeSymbol(0);
}

// Integers of small tensors: by the length of their magnitude, which is learnt from fewer values than 256 symbols are.

@inline
export function encodeSmall(kind: i32, value: u32, zeros: u32): void {
  const signed = kind == INT8 ? <i64>(<i8>value) : <i64>(<i32>value) >> zeros;
  encodeLength(LENGTH, <u64>abs<i64>(signed) + 1);
  if (signed != 0) encodeRaw(1, signed < 0 ? 1 : 0);
}

@inline
export function decodeSmall(kind: i32, zeros: u32): u32 {
  const size = decodeLength(LENGTH) - 1;
  if (size == 0) return 0;
  const negative = decodeRaw(1) == 1;
  const value = negative ? -(<i64>size) : <i64>size;
  const least: i64 = kind == INT8 ? -128 : <i64>i32.MIN_VALUE >> zeros;
  if (size > <u64>u32.MAX_VALUE || value < least || value > -1 - least) {
    refuse();
    return 0;
  }
  return kind == INT8 ? <u32>value & 0xff : <u32>(value << zeros);
}
