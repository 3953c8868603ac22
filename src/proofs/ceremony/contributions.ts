import { blake2b } from '@noble/hashes/blake2.js';
import { ChaCha, type Curve, type Group } from 'ffjavascript';
import { concat, equalBytes, type Hex, toHex } from '../../protocol/bytes.ts';
import { GrailError } from '../../protocol/errors.ts';
import { bn254 } from '../curve.ts';
import { FIELD_ORDER } from '../fields.ts';

/** Bytes of a contribution's record: three points of G1, one of G2 (uncompressed, big-endian), and a BLAKE2b-512 hash. */
export const RECORD_BYTES = 384;

/**
 * Someone's share of δ, as snarkjs keeps it. Its record is δ·G1 after it, s·G1, s·x·G1, sp·x·G2, and the transcript that sp is
 * drawn from; x is the share, which nobody else knows.
 */
export interface Contribution {
  readonly record: Uint8Array;
  /** The contributor’s name: a label that no hash covers. */
  readonly name: string;
  /** Of a beacon, whose share follows from a public value; null for a contribution. */
  readonly beacon: { readonly value: Hex; readonly iterationsExp: number } | null;
}

/** BLAKE2b-512 of the record: what snarkjs prints as Contribution Hash. */
export function contributionHash({ record }: Pick<Contribution, 'record'>): Hex {
  return toHex(blake2b(record, { dkLen: 64 }));
}

/**
 * Checks that each record is a proof of knowledge of its share, made for this circuit and what came before it, and gives δ.
 * Source: Bowe, Gabizon and Miers, Scalable Multi-party Computation for zk-SNARK Parameters in the Random Beacon Model, eprint
 * 2017/1050; byte layout: snarkjs' phase2verify.
 * @param circuitHash the 64 bytes that the first key of the ceremony carries
 * @returns δ·G1, uncompressed
 * @throws GrailError CEREMONY_CONTRIBUTION with the index of the record that is wrong
 */
export async function checkContributions(
  circuitHash: Uint8Array,
  contributions: readonly Pick<Contribution, 'record'>[],
): Promise<Uint8Array> {
  const curve = await bn254();
  const { G1 } = curve;
  const before = [circuitHash];
  let delta = G1.toAffine(G1.g);
  for (const [index, { record }] of contributions.entries()) {
    const fail = (reason: string) =>
      new GrailError('CEREMONY_CONTRIBUTION', `contribution ${index + 1}: ${reason}`, {
        contribution: index + 1,
      });
    if (record.length !== RECORD_BYTES) throw fail(`its record has not ${RECORD_BYTES} bytes`);
    const g1 = (at: number) => point(curve.G1, record.subarray(at, at + 64));
    const deltaAfter = g1(0);
    const s = g1(64);
    const sx = g1(128);
    const spx = point(curve.G2, record.subarray(192, 320));
    const transcript = record.subarray(320);
    if (deltaAfter === undefined || s === undefined || sx === undefined || spx === undefined) {
      throw fail('it contains a point that is none of its group');
    }
    const expected = blake2b(concat(...before, record.subarray(64, 192)), { dkLen: 64 });
    if (!equalBytes(expected, transcript))
      throw fail('it was made for another circuit or after other contributions');
    const sp = curve.G2.toAffine(curve.G2.fromRng(generator(transcript)));
    if (!sameRatio(curve, s, sx, sp, spx)) throw fail('its maker did not know the share');
    if (!sameRatio(curve, delta, deltaAfter, sp, spx)) throw fail('δ was not multiplied by the share');
    delta = deltaAfter;
    before.push(record);
  }
  return G1.toUncompressed(delta);
}

/** Whether sx = x·s and spx = x·sp for one x; no point is at infinity. */
export function sameRatio(
  curve: Curve,
  s: Uint8Array,
  sx: Uint8Array,
  sp: Uint8Array,
  spx: Uint8Array,
): boolean {
  const { G1, G2, Gt } = curve;
  const miller = (a: Uint8Array, b: Uint8Array) =>
    curve.millerLoop(curve.prepareG1(G1.toJacobian(a)), curve.prepareG2(G2.toJacobian(b)));
  return Gt.eq(curve.finalExponentiation(Gt.mul(miller(s, spx), miller(G1.neg(sx), sp))), Gt.one);
}

/** An affine point of the group of order r, canonically spelt and not at infinity, or undefined. */
function point(group: Group, uncompressed: Uint8Array): Uint8Array | undefined {
  const affine = group.fromRprUncompressed(uncompressed, 0);
  if (group.isZero(affine) || !group.isValid(affine)) return undefined;
  if (!equalBytes(group.toUncompressed(affine), uncompressed)) return undefined;
  return group.isZero(group.timesScalar(affine, FIELD_ORDER)) ? affine : undefined;
}

function generator(hash: Uint8Array): ChaCha {
  const view = new DataView(hash.buffer, hash.byteOffset, hash.byteLength);
  return new ChaCha(Array.from({ length: 8 }, (_, i) => view.getUint32(4 * i, false)));
}
