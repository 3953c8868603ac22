import { constants as zlib, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

/** A tensor of bf16 bit patterns; states are such tensors one after another. */
export interface NamedTensor {
  readonly name: string;
  /** Outermost first; a scalar has none. */
  readonly dims: readonly number[];
}

/**
 * A published way to send the difference of two bf16 states, written anew from a description of its format (no code was
 * copied), so that all of them are measured on the same input. Inputs come from this bench alone: nothing is validated.
 */
export interface Rival {
  readonly name: string;
  /** Why it cannot run on this machine; null when it can. */
  missing(): string | null;
  encode(base: Uint16Array, target: Uint16Array, tensors: readonly NamedTensor[]): Uint8Array;
  /** `tensors` are those of `base`: a receiver has its tensors by name. */
  decode(base: Uint16Array, bytes: Uint8Array, tensors: readonly NamedTensor[]): Uint16Array;
  /** Bytes of `bytes` that only describe tensors; 0 where the format does not set them apart. */
  headerBytes(bytes: Uint8Array): number;
}

/** A tensor and where it lies within a state. */
export interface PlacedTensor extends NamedTensor {
  readonly offset: number;
  readonly size: number;
}

/** The tensors of a state in ascending order of name, in which both of Covenant's formats list them. */
export function placedByName(tensors: readonly NamedTensor[]): PlacedTensor[] {
  let end = 0;
  const placed = tensors.map(({ name, dims }) => {
    const size = dims.reduce((product, dim) => product * dim, 1);
    end += size;
    return { name, dims, offset: end - size, size };
  });
  return placed.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Ascending positions at which two tensors differ bit by bit: −0 is not 0 here, as a float comparison would have it. */
export function changedPositions(base: Uint16Array, target: Uint16Array): Uint32Array {
  let count = 0;
  for (let i = 0; i < base.length; i++) if (base[i] !== target[i]) count++;
  const positions = new Uint32Array(count);
  for (let i = 0, at = 0; at < count; i++) if (base[i] !== target[i]) positions[at++] = i;
  return positions;
}

export function zstd(bytes: Uint8Array, level: number): Uint8Array {
  return zstdCompressSync(bytes, { params: { [zlib.ZSTD_c_compressionLevel]: level } });
}

export function unzstd(bytes: Uint8Array): Uint8Array {
  return bytesOf(zstdDecompressSync(bytes));
}

/** The bytes of an array as they lie in memory: little-endian on every machine that Node runs on today. */
export function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** bf16 patterns from bytes at any alignment. */
export function patternsOf(bytes: Uint8Array): Uint16Array {
  return new Uint16Array(new Uint8Array(bytes).buffer);
}

/** `u32le length ‖ JSON`, as both of Covenant's formats begin. */
export function encodeJson(value: unknown): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(value));
  const out = new Uint8Array(4 + text.length);
  new DataView(out.buffer).setUint32(0, text.length, true);
  out.set(text, 4);
  return out;
}

/** The value at the front of `bytes`, and where what follows it begins. */
export function decodeJson<Value>(bytes: Uint8Array): { value: Value; end: number } {
  const end = 4 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  return { value: JSON.parse(new TextDecoder().decode(bytes.subarray(4, end))) as Value, end };
}
