import { BITS, CODE, RATES } from './layout';

/**
 * A range coder on 64 bits (G. N. N. Martin, 1979), both directions. The layout of codes is in docs/PROTOCOL.md, PULSE.
 */

/** Below this the range is widened by two bytes. */
const NARROW: u64 = 1 << 48;

let low: u64 = 0;
let range: u64 = 0;
// Encoder: the pair of bytes that a carry may still reach, and how many pairs of 0xffff follow it.
let cache: u32 = 0;
let pending: u64 = 0;
let started: bool = false;
/** Where the next byte goes, or comes from. */
let at: usize = CODE;
// Decoder: the last eight bytes read, their distance from `low`, the end of what may be read, and bytes read past it.
let window: u64 = 0;
let code: u64 = 0;
let end: usize = CODE;
let past: u32 = 0;

export function startEncoder(): void {
  low = 0;
  range = u64.MAX_VALUE;
  cache = 0;
  pending = 0;
  started = false;
  at = CODE;
}

/** Bytes at CODE that are final; the next ones go to CODE again. */
export function drain(): i32 {
  const bytes = i32(at - CODE);
  at = CODE;
  return bytes;
}

/** Takes the bytes at CODE while a block is coded. */
@external('env', 'spill')
declare function spill(bytes: i32): void;

/** Half of the room: what else a block's code takes goes into the other. */
const SPILL_AT: usize = CODE + 0x100000;

@inline
function emit(pair: u32): void {
  store<u8>(at, <u8>(pair >>> 8));
  store<u8>(at, <u8>pair, 1);
  at += 2;
}

function emitRun(pair: u32, count: u64): void {
  for (; count > 0; count--) {
    if (at >= SPILL_AT) spill(drain());
    emit(pair);
  }
}

function shift(): void {
  const top = <u32>(low >>> 48);
  low <<= 16;
  if (top == 0xffff && started) {
    pending++;
    return;
  }
  if (started) {
    emit(cache);
    emitRun(0xffff, pending);
    pending = 0;
  }
  cache = top;
  started = true;
}

function carry(): void {
  cache++;
  if (pending == 0) return;
  emit(cache);
  emitRun(0, pending - 1);
  cache = 0;
  pending = 0;
}

@inline
function add(amount: u64): void {
  low += amount;
  if (low < amount) carry();
}

@inline
function widen(): void {
  while (range < NARROW) {
    range <<= 16;
    shift();
  }
}

/** Codes the part [from, to) of 2^bits; the part that ends at 2^bits has what rounding leaves. */
@inline
export function encodePart(bits: u64, from: u64, to: u64): void {
  const unit = range >>> bits;
  const start = unit * from;
  add(start);
  range = to == <u64>1 << bits ? range - start : unit * (to - from);
  widen();
}

/** Ends the code with the fewest bytes that, followed by zeros, lie in the last interval. */
export function finishEncoder(): void {
  const keep = lastBytes();
  add(lastDistance(keep));
  for (let i: u32 = 0; i < keep; i += 2) shift();
  if (!started) return;
  emit(cache);
  emitRun(0xffff, pending);
  // Of an odd number of bytes the last pair has one too many, a zero.
  if (keep & 1) at--;
}

/** From `low` up to the next number whose lower 8 − keep bytes are zero. */
@inline
function lastDistance(keep: u32): u64 {
  const mask = keep == 0 ? u64.MAX_VALUE : (<u64>1 << (64 - 8 * keep)) - 1;
  return keep == 8 ? 0 : (0 - low) & mask;
}

function lastBytes(): u32 {
  let keep: u32 = 0;
  while (lastDistance(keep) >= range) keep++;
  return keep;
}

/** Starts to read the `bytes` bytes at CODE. */
export function startDecoder(bytes: i32): void {
  range = u64.MAX_VALUE;
  at = CODE;
  end = CODE + bytes;
  past = 0;
  window = 0;
  for (let i = 0; i < 8; i++) window = (window << 8) | nextByte();
  code = window;
  // Beyond the first range: 2^64 would be lost from it on the way, and the code pass for another.
  if (code >= range) past = 9;
}

function nextByte(): u64 {
  if (at < end) return <u64>load<u8>(at++);
  past++;
  return 0;
}

@inline
function narrow(): void {
  while (range < NARROW) {
    range <<= 16;
    let pair: u64;
    if (at + 2 <= end) {
      pair = (<u64>load<u8>(at) << 8) | <u64>load<u8>(at, 1);
      at += 2;
    } else {
      pair = nextByte() << 8;
      pair |= nextByte();
    }
    window = (window << 16) | pair;
    code = (code << 16) | pair;
  }
}

/** Bytes at CODE that were not read yet. */
export function unread(): i32 {
  return i32(end - at);
}

/** The unread bytes were moved to CODE, and others put behind them. */
export function refill(bytes: i32): void {
  at = CODE;
  end = CODE + bytes;
}

/** More than eight zeros read past the end: no code is that short. */
export function overrun(): bool {
  return past > 8;
}

/** Whether the bytes read are the one code of what was decoded, and all of them. To be asked at the end. */
export function isCanonical(): bool {
  low = window - code;
  const keep = lastBytes();
  return code < range && code == lastDistance(keep) && at == end && past == 8 - keep;
}

/** Where the code lies among 2^bits parts. */
@inline
export function readChance(bits: u64): u64 {
  return min(code / (range >>> bits), (<u64>1 << bits) - 1);
}

/** Takes the part that holds what readChance gave. */
@inline
export function takePart(bits: u64, from: u64, to: u64): void {
  const unit = range >>> bits;
  const start = unit * from;
  code -= start;
  range = to == <u64>1 << bits ? range - start : unit * (to - from);
  narrow();
}

/** A fresh adaptive bit: even chances, nothing seen. */
export const EVEN: u32 = 0x80000000;
const SEEN_MAX: u32 = 254;

@inline
function adapted(state: u32, bit: u32): u32 {
  const seen = state & 0xff;
  const zero = state >>> 16;
  const rate = <u32>load<u16>(RATES + (<usize>seen << 1));
  const moved = bit == 0 ? zero + (((65536 - zero) * rate) >>> 16) : zero - ((zero * rate) >>> 16);
  return (max(min(moved, 65504), 32) << 16) | (seen < SEEN_MAX ? seen + 1 : seen);
}

@inline
export function encodeBit(context: usize, bit: u32): void {
  const address = BITS + (context << 2);
  const state = load<u32>(address);
  const bound = (range >>> 16) * <u64>(state >>> 16);
  if (bit == 0) {
    range = bound;
  } else {
    add(bound);
    range -= bound;
  }
  store<u32>(address, adapted(state, bit));
  widen();
}

@inline
export function decodeBit(context: usize): u32 {
  const address = BITS + (context << 2);
  const state = load<u32>(address);
  const bound = (range >>> 16) * <u64>(state >>> 16);
  let bit: u32 = 0;
  if (code < bound) {
    range = bound;
  } else {
    bit = 1;
    code -= bound;
    range -= bound;
  }
  store<u32>(address, adapted(state, bit));
  narrow();
  return bit;
}

/** `bits` bits of a value, most significant first, in the contexts of a binary tree: 1 to 2^bits − 1 behind `contexts`. */
export function encodeTree(contexts: usize, bits: i32, value: i32): void {
  for (let place = bits - 1, node: usize = 1; place >= 0; place--) {
    const bit = (value >>> place) & 1;
    encodeBit(contexts + node, bit);
    node = (node << 1) | bit;
  }
}

export function decodeTree(contexts: usize, bits: i32): i32 {
  let node: usize = 1;
  while (node < <usize>1 << bits) node = (node << 1) | decodeBit(contexts + node);
  return <i32>node - (1 << bits);
}

/** `bits` ≤ 16 bits of even chances. */
export function encodeRaw(bits: u64, value: u64): void {
  encodePart(bits, value, value + 1);
}

export function decodeRaw(bits: u64): u64 {
  const value = readChance(bits);
  takePart(bits, value, value + 1);
  return value;
}
