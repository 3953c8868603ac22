import { type Architecture, type Policy, weightCount, weightRows } from '../../src/policy/architecture.ts';
import { concat, equalBytes } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import {
  applyPatch,
  type ByteSource,
  byteSource,
  type Dtype,
  decodeAnchor,
  encodeAnchor,
  encodePatch,
  MemoryTensors,
  type TensorSpec,
} from '../../src/pulse/index.ts';
import { ITEM_BYTES } from '../../src/pulse/tensor.ts';

/** A seeded generator for tests: xorshift32, mixed. Gives integers in [0, bound). */
export function seededRandom(seed: number): (bound: number) => number {
  let state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) >>> 0 || 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const mixed = Math.imul(state ^ (state >>> 16), 0x45d9f3b) >>> 0;
    return Math.floor((mixed / 2 ** 32) * bound);
  };
}

export function denseArchitecture(widths: readonly number[], biasMax = 65_536): Architecture {
  const layers = widths
    .slice(1)
    .map((out, i) => ({ type: 'dense' as const, in: widths[i]!, out, shift: 5, biasMax }));
  return { observation: widths[0]!, actions: widths.at(-1)!, layers };
}

/** Weights in [−spread, spread] around 0, biases multiples of 64. */
export function randomPolicy(
  architecture: Architecture,
  random: (bound: number) => number,
  spread = 30,
): Policy {
  const weight = () => random(spread + 1) - random(spread + 1);
  const bias = (max: number) => {
    const steps = Math.min(20, Math.floor(max / 64));
    return 64 * (random(steps + 1) - random(steps + 1));
  };
  return {
    architecture,
    layers: architecture.layers.map((layer) => ({
      weight: Int8Array.from({ length: weightCount(layer) }, weight),
      bias: Int32Array.from({ length: weightRows(layer) }, () => bias(layer.biasMax)),
    })),
  };
}

/** Moves each weight by ±1 with probability `perMille`/1000, and each bias by ±64 with the same. */
export function randomUpdate(policy: Policy, random: (bound: number) => number, perMille: number): Policy {
  const move = (value: number, step: number, limit: number) => {
    if (random(1000) >= perMille) return value;
    const moved = value + (random(2) === 0 ? step : -step);
    return Math.abs(moved) > limit ? value : moved;
  };
  return {
    architecture: policy.architecture,
    layers: policy.layers.map(({ weight, bias }, i) => ({
      weight: weight.map((value) => move(value, 1, 127)),
      bias: bias.map((value) => move(value, 64, policy.architecture.layers[i]!.biasMax)),
    })),
  };
}

/** The code with which `run` fails; `none` when it does not. */
export async function codeOf(run: () => unknown): Promise<string> {
  try {
    await run();
    return 'none';
  } catch (error) {
    if (error instanceof GrailError) return error.code;
    throw error;
  }
}

export const DTYPES: readonly Dtype[] = ['int8', 'int32', 'bf16', 'f16', 'f32'];

/** Bit patterns that a codec could get wrong: zeros, the least, the largest, infinities, NaN payloads, extremes. */
export const SPECIALS: Readonly<Record<Dtype, readonly number[]>> = {
  int8: [0, 1, 0xff, 0x7f, 0x80, 0x81, 2, 0xfe],
  int32: [
    0, 1, 0xffff_ffff, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, 64, 0xffff_ffc0, 0x4000_0000, 0xc000_0000,
  ],
  bf16: [
    0, 0x8000, 1, 0x8001, 0x7f, 0x807f, 0x80, 0x3f80, 0xbf80, 0x7f7f, 0x7f80, 0xff80, 0x7f81, 0x7fc0, 0xffc1,
    0x7fff, 0xffff,
  ],
  f16: [
    0, 0x8000, 1, 0x8001, 0x3ff, 0x83ff, 0x400, 0x3c00, 0xbc00, 0x7bff, 0x7c00, 0xfc00, 0x7c01, 0x7e00,
    0xfe01, 0x7fff, 0xffff,
  ],
  f32: [
    0, 0x8000_0000, 1, 0x8000_0001, 0x7f_ffff, 0x807f_ffff, 0x80_0000, 0x3f80_0000, 0xbf80_0000, 0x7f7f_ffff,
    0x7f80_0000, 0xff80_0000, 0x7f80_0001, 0x7fc0_0000, 0xffc0_0001, 0x7fff_ffff, 0xffff_ffff,
  ],
};

/** A tensor's elements as bit patterns, to read and write. */
export function patternsOf(bytes: Uint8Array, dtype: Dtype): Uint8Array | Uint16Array | Uint32Array {
  const size = ITEM_BYTES[dtype];
  if (size === 1) return bytes;
  return size === 2
    ? new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2)
    : new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

/** Tensors whose elements have the patterns that `pattern` gives. */
export function tensorsOf(
  specs: readonly TensorSpec[],
  pattern: (at: number, dtype: Dtype, tensor: number) => number,
): MemoryTensors {
  const tensors = new MemoryTensors(specs);
  for (const [tensor, { dtype }] of specs.entries()) {
    const patterns = patternsOf(tensors.arrays[tensor]!, dtype);
    for (let at = 0; at < patterns.length; at++) patterns[at] = pattern(at, dtype, tensor);
  }
  return tensors;
}

/** One tensor of these elements. */
export function vectorOf(dtype: Dtype, patterns: ArrayLike<number>): MemoryTensors {
  return tensorsOf([{ name: 'w', dtype, shape: [patterns.length] }], (at) => patterns[at]!);
}

/** A pattern near those of trained weights: a few exponents, any sign and mantissa; small integers. */
export function weightPattern(dtype: Dtype, random: (bound: number) => number): number {
  if (dtype === 'int8') return (random(61) - 30) & 0xff;
  if (dtype === 'int32') return (64 * (random(201) - 100)) >>> 0;
  if (dtype === 'f32') return (2 ** 31 * random(2) + 2 ** 23 * (118 + random(5)) + random(2 ** 23)) >>> 0;
  const [fraction, exponent] = dtype === 'bf16' ? [7, 118] : [10, 6];
  return 2 ** 15 * random(2) + 2 ** fraction * (exponent + random(5)) + random(2 ** fraction);
}

export function randomTensors(
  specs: readonly TensorSpec[],
  random: (bound: number) => number,
): MemoryTensors {
  return tensorsOf(specs, (_, dtype) => weightPattern(dtype, random));
}

/** A copy in which `perMille` of 1000 elements moved, mostly by 1, some to anything. */
export function movedTensors(
  tensors: MemoryTensors,
  random: (bound: number) => number,
  perMille: number,
): MemoryTensors {
  const moved = tensors.clone();
  for (const [tensor, { dtype }] of moved.specs.entries()) {
    const patterns = patternsOf(moved.arrays[tensor]!, dtype);
    for (let at = 0; at < patterns.length; at++) {
      if (random(1000) >= perMille) continue;
      const specials = SPECIALS[dtype];
      const step = dtype === 'int32' ? 64 : 1;
      const move = random(16);
      // Arrays keep the lowest bits of what is stored.
      if (move === 0) patterns[at] = specials[random(specials.length)]!;
      else if (move === 1) patterns[at] = weightPattern(dtype, random);
      else patterns[at] = patterns[at]! + (move % 2 === 0 ? step : -step);
    }
  }
  return moved;
}

/** Elements that differ. */
export function countChanges(base: MemoryTensors, target: MemoryTensors): number {
  let count = 0;
  for (const [tensor, { dtype }] of base.specs.entries()) {
    const from = patternsOf(base.arrays[tensor]!, dtype);
    const to = patternsOf(target.arrays[tensor]!, dtype);
    for (let at = 0; at < from.length; at++) if (from[at] !== to[at]) count++;
  }
  return count;
}

type PatchInput = Omit<Parameters<typeof encodePatch>[0], 'write'>;

/** A patch as one array, with what its encoder says of it. */
export function patchOf(input: PatchInput): ReturnType<typeof encodePatch> & { patch: Uint8Array } {
  const chunks: Uint8Array[] = [];
  const result = encodePatch({ ...input, write: (chunk) => chunks.push(chunk.slice()) });
  return { ...result, patch: concat(result.header, ...chunks) };
}

type ApplyInput = Omit<Parameters<typeof applyPatch>[0], 'sink' | 'patch'>;

/** What a patch leads to. */
export function patched(
  patch: Uint8Array | ByteSource,
  input: ApplyInput,
): ReturnType<typeof applyPatch> & { tensors: MemoryTensors } {
  const tensors = new MemoryTensors(input.base.specs);
  const stream = patch instanceof Uint8Array ? byteSource(patch) : patch;
  return { ...applyPatch({ ...input, patch: stream, sink: tensors }), tensors };
}

export function anchorOf(target: MemoryTensors): Uint8Array {
  const chunks: Uint8Array[] = [];
  const { header } = encodeAnchor({ target, write: (chunk) => chunks.push(chunk.slice()) });
  return concat(header, ...chunks);
}

/** The tensors of an anchor. */
export function anchored(
  anchor: Uint8Array,
  options: Partial<Parameters<typeof decodeAnchor>[0]> = {},
): MemoryTensors {
  let tensors: MemoryTensors | undefined;
  decodeAnchor({
    anchor: byteSource(anchor),
    sinkFor(specs) {
      tensors = new MemoryTensors(specs);
      return tensors;
    },
    ...options,
  });
  return tensors!;
}

/** Whether all bytes are equal: faster than a matcher, and as telling in a loop that says where it is. */
export function sameTensors(a: MemoryTensors, b: MemoryTensors): boolean {
  return a.arrays.length === b.arrays.length && a.arrays.every((array, i) => equalBytes(array, b.arrays[i]!));
}
