import { writeFile } from 'node:fs/promises';
import { buildBn128 } from 'ffjavascript';
import { concat, utf8 } from '../../src/protocol/bytes.ts';

const ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617n;
const MODULUS = 21888242871839275222246405745257275088696311157297823662689037894645226208583n;

function u32le(value: number): Uint8Array {
  return Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);
}

function section(id: number, ...parts: Uint8Array[]): Uint8Array {
  const body = concat(...parts);
  return concat(u32le(id), u32le(body.length), u32le(0), body);
}

/**
 * Writes the phase 1 that a ceremony with these secrets would have ended with, in snarkjs' .ptau format, not yet
 * prepared for phase 2: powers of τ one scalar multiplication at a time.
 */
export async function writeKnownPhaseOne(
  path: string,
  bits: number,
  secrets: { readonly tau: bigint; readonly alpha: bigint; readonly beta: bigint },
): Promise<void> {
  const curve = await buildBn128(true);
  const powers = (count: number, factor: bigint) => {
    const out: bigint[] = [];
    for (let i = 0, power = factor % ORDER; i < count; i++, power = (power * secrets.tau) % ORDER)
      out.push(power);
    return out;
  };
  const g1 = (scalars: bigint[]) =>
    concat(...scalars.map((scalar) => curve.G1.toAffine(curve.G1.timesScalar(curve.G1.g, scalar))));
  const g2 = (scalars: bigint[]) =>
    concat(...scalars.map((scalar) => curve.G2.toAffine(curve.G2.timesScalar(curve.G2.g, scalar))));
  const modulus = new Uint8Array(32);
  for (let i = 0; i < 32; i++) modulus[i] = Number((MODULUS >> BigInt(8 * i)) & 255n);
  const size = 2 ** bits;
  await writeFile(
    path,
    concat(
      utf8('ptau'),
      u32le(1),
      u32le(7),
      section(1, u32le(32), modulus, u32le(bits), u32le(bits)),
      section(2, g1(powers(2 * size - 1, 1n))),
      section(3, g2(powers(size, 1n))),
      section(4, g1(powers(size, secrets.alpha))),
      section(5, g1(powers(size, secrets.beta))),
      section(6, g2([secrets.beta])),
      section(7, u32le(0)),
    ),
  );
}
