import { bytesOf, patternsOf, type Rival, unzstd, zstd } from './rival.ts';

function xor(a: Uint16Array, b: Uint16Array): Uint16Array {
  const out = new Uint16Array(a.length);
  for (let i = 0; i < out.length; i++) out[i] = a[i]! ^ b[i]!;
  return out;
}

/** The whole state XOR the base through zstd: what takes an afternoon to write. */
export function xorZstd(level: number): Rival {
  return {
    name: `XOR + zstd-${level}`,
    missing: () => null,
    encode: (base, target) => zstd(bytesOf(xor(base, target)), level),
    decode: (base, bytes) => xor(base, patternsOf(unzstd(bytes))),
    headerBytes: () => 0,
  };
}
