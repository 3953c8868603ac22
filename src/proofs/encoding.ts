import { PROOF_BYTES } from '../params/constants.ts';
import { bigToBytes, bytesToBig, concat } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { BASE_FIELD } from './fields.ts';

/** A Groth16 proof as snarkjs writes it: projective coordinates in decimal, c0 before c1. */
export interface SnarkjsProof {
  readonly protocol: 'groth16';
  readonly curve: 'bn128';
  readonly pi_a: readonly [string, string, string];
  readonly pi_b: readonly [readonly [string, string], readonly [string, string], readonly [string, string]];
  readonly pi_c: readonly [string, string, string];
}

/** The eight coordinates in the order of the wire: A.x A.y | B.x.c1 B.x.c0 B.y.c1 B.y.c0 | C.x C.y. */
export type ProofCoordinates = readonly [bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint];

const NAMES = ['A.x', 'A.y', 'B.x.c1', 'B.x.c0', 'B.y.c1', 'B.y.c0', 'C.x', 'C.y'] as const;
const POINTS = { A: [0, 2], B: [2, 6], C: [6, 8] } as const;

/**
 * Reads the wire form of a proof: eight 32-byte big-endian coordinates, Ethereum's order of B's halves. It says that
 * the numbers are canonical and no point is at infinity; whether they are on the curve is the verifier's check.
 * @throws GrailError PROOF_ENCODING naming the length, coordinate or point that is wrong.
 */
export function decodeProof(bytes: Uint8Array): ProofCoordinates {
  if (bytes.length !== PROOF_BYTES) {
    throw new GrailError(
      'PROOF_ENCODING',
      `a proof is ${PROOF_BYTES} bytes, not ${bytes.length}: send A, B and C uncompressed`,
      { expected: PROOF_BYTES, got: bytes.length },
    );
  }
  const coordinates = NAMES.map((name, i) => {
    const value = bytesToBig(bytes.subarray(32 * i, 32 * i + 32));
    if (value >= BASE_FIELD) {
      throw new GrailError('PROOF_ENCODING', `${name} is not below the field's modulus: reduce it`, {
        coordinate: name,
      });
    }
    return value;
  });
  for (const [point, [from, to]] of Object.entries(POINTS)) {
    // (0, 0) is not on the curve; libraries use it for infinity, which no honest proof contains.
    if (coordinates.slice(from, to).every((value) => value === 0n)) {
      throw new GrailError('PROOF_ENCODING', `${point} is the point at infinity`, { point });
    }
  }
  return coordinates as unknown as ProofCoordinates;
}

/** The wire form of eight coordinates, 256 bytes. @throws RangeError when one does not fit 32 bytes. */
export function encodeProof(coordinates: ProofCoordinates): Uint8Array {
  return concat(...coordinates.map((value) => bigToBytes(value, 32)));
}

/**
 * The wire form of a snarkjs proof.
 * @throws GrailError PROOF_ENCODING when it is not an affine Groth16 proof over BN254 with canonical coordinates.
 */
export function proofFromSnarkjs(proof: SnarkjsProof): Uint8Array {
  const { pi_a: a, pi_b: b, pi_c: c } = proof;
  if (a[2] !== '1' || c[2] !== '1' || b[2][0] !== '1' || b[2][1] !== '0') {
    throw new GrailError('PROOF_ENCODING', 'a point of the proof is at infinity or not affine');
  }
  const texts = [a[0], a[1], b[0][1], b[0][0], b[1][1], b[1][0], c[0], c[1]];
  if (!texts.every((text) => /^(?:0|[1-9][0-9]{0,76})$/.test(text))) {
    throw new GrailError('PROOF_ENCODING', 'a coordinate of the proof is not a canonical decimal number');
  }
  const bytes = encodeProof(texts.map((text) => BigInt(text)) as unknown as ProofCoordinates);
  decodeProof(bytes);
  return bytes;
}

/**
 * The snarkjs form of a proof on the wire, for snarkjs' own verifier and other tools.
 * @throws GrailError PROOF_ENCODING
 */
export function proofToSnarkjs(bytes: Uint8Array): SnarkjsProof {
  const [ax, ay, bx1, bx0, by1, by0, cx, cy] = decodeProof(bytes).map(String) as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  return {
    protocol: 'groth16',
    curve: 'bn128',
    pi_a: [ax, ay, '1'],
    pi_b: [
      [bx0, bx1],
      [by0, by1],
      ['1', '0'],
    ],
    pi_c: [cx, cy, '1'],
  };
}
