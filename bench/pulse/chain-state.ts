import type { NamedTensor } from './rivals/index.ts';

/** One published state of a chain of bf16 states. */
export interface ChainState {
  /** 0 is the state before the first update. */
  readonly step: number;
  /** Bit patterns of all tensors one after another; the receiver's to keep. */
  readonly state: Uint16Array;
  readonly tensors: readonly NamedTensor[];
  /** Of the update that led here, where there is one. */
  readonly loss: number | null;
}

/** float32 to bf16 bit patterns, to nearest, ties to even. Weights are finite: NaN is not looked after. */
export function roundToBf16(values: Float32Array, out: Uint16Array): void {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < bits.length; i++) {
    const pattern = bits[i]!;
    out[i] = (pattern + 0x7fff + ((pattern >>> 16) & 1)) >>> 16;
  }
}
