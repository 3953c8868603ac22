import { beforeAll, describe, expect, test } from 'vitest';
import { bn254 } from '../../src/proofs/curve.ts';
import { decodeProof, encodeProof, type ProofCoordinates } from '../../src/proofs/encoding.ts';
import { BASE_FIELD, FIELD_ORDER } from '../../src/proofs/fields.ts';
import { createVerifier, type ProofVerifier, type ProvenStatement } from '../../src/proofs/verify.ts';
import { concat } from '../../src/protocol/bytes.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { SimulatedKey, scalarOf, windowSignals } from '../helpers/simulated-proofs.ts';
import {
  COFACTOR_PRIMES,
  cofactorPoint,
  sumOnTwist,
  type TwistPoint,
  timesOnTwist,
  twistPoint,
} from '../helpers/twist.ts';

let simulated: SimulatedKey;
let verifier: ProofVerifier;
let proven: ProvenStatement;
let other: ProvenStatement;

beforeAll(async () => {
  simulated = await SimulatedKey.create(4);
  verifier = await createVerifier(simulated.key);
  proven = simulated.prove(windowSignals(4, 0), 0);
  other = simulated.prove(windowSignals(4, 1), 1);
});

/** Singly and in the middle of a batch; both must say the same. */
async function refused(code: 'PROOF_ENCODING' | 'PROOF_INVALID', proof: Uint8Array) {
  const { publicSignals } = proven;
  const error = await expectCode(code, verifier.verify(publicSignals, proof));
  const [before, among, after] = await verifier.verifyMany([proven, { publicSignals, proof }, other]);
  expect([before, after]).toEqual([null, null]);
  expect(among?.toJSON()).toEqual(error.toJSON());
  return error;
}

async function accepted(proof: Uint8Array) {
  await verifier.verify(proven.publicSignals, proof);
  expect(await verifier.verifyMany([other, { ...proven, proof }])).toEqual([null, null]);
}

function altered(changes: { readonly [coordinate: number]: bigint }): Uint8Array {
  const coordinates = [...decodeProof(proven.proof)];
  for (const [index, value] of Object.entries(changes)) coordinates[Number(index)] = value;
  return encodeProof(coordinates as unknown as ProofCoordinates);
}

const withB = ([[x0, x1], [y0, y1]]: TwistPoint) => altered({ 2: x1, 3: x0, 4: y1, 5: y0 });

function pointB(): TwistPoint {
  const [, , x1, x0, y1, y0] = decodeProof(proven.proof);
  return [
    [x0, x1],
    [y0, y1],
  ];
}

describe('B on the twist but outside G2', () => {
  test.each(COFACTOR_PRIMES)('is refused when it is of order %s', async (prime) => {
    const error = await refused('PROOF_ENCODING', withB(await cofactorPoint(prime)));
    expect(error.details).toEqual({ point: 'B' });
  });

  test.each(COFACTOR_PRIMES)(
    'is refused when it is the proof’s own plus a point of order %s',
    async (prime) => {
      // Multiplied by the prime it is a multiple of the proof's B: a verifier without the check may take the sum for B.
      const shifted = (await sumOnTwist(pointB(), await cofactorPoint(prime)))!;
      const error = await refused('PROOF_ENCODING', withB(shifted));
      expect(error.details).toEqual({ point: 'B' });
    },
  );

  test('is refused when it is any point of the twist, negated or not', async () => {
    const [x, [y0, y1]] = twistPoint(77);
    await refused('PROOF_ENCODING', withB([x, [y0, y1]]));
    await refused('PROOF_ENCODING', withB([x, [BASE_FIELD - y0, BASE_FIELD - y1]]));
  });
});

describe('points that are what they should be, but not the proof’s', () => {
  test.each([
    ['A and C exchanged', (p: Uint8Array) => concat(p.subarray(192), p.subarray(64, 192), p.subarray(0, 64))],
    ['A also in the place of C', (p: Uint8Array) => concat(p.subarray(0, 192), p.subarray(0, 64))],
    ['C also in the place of A', (p: Uint8Array) => concat(p.subarray(192), p.subarray(64))],
    ['A of another proof', (p: Uint8Array) => concat(other.proof.subarray(0, 64), p.subarray(64))],
    [
      'B of another proof',
      (p: Uint8Array) => concat(p.subarray(0, 64), other.proof.subarray(64, 192), p.subarray(192)),
    ],
    ['another statement’s proof', () => other.proof],
  ])('are refused: %s', async (_, change) => {
    await refused('PROOF_INVALID', change(proven.proof));
  });

  test.each([
    ['A', [1]],
    ['B', [4, 5]],
    ['C', [7]],
  ])('are refused with %s alone negated', async (_, indices) => {
    const values = decodeProof(proven.proof);
    const negated = Object.fromEntries(indices.map((i) => [i, (BASE_FIELD - values[i]!) % BASE_FIELD]));
    await refused('PROOF_INVALID', altered(negated));
  });
});

describe('coordinates', () => {
  test.each([0, 1, 2, 3, 4, 5, 6, 7])('number %i are refused as q and as 2^256 − 1', async (index) => {
    for (const value of [BASE_FIELD, 2n ** 256n - 1n]) {
      const error = await refused('PROOF_ENCODING', altered({ [index]: value }));
      expect(error.details).toHaveProperty('coordinate');
    }
  });

  test.each(['A', 'B', 'C'])('that are those of the generator do not make %s right', async (point) => {
    const { G1, G2 } = await bn254();
    const [x, y] = G1.toObject(G1.g) as bigint[];
    const generator = G2.toObject(G2.g) as unknown as TwistPoint;
    const proofs = { A: altered({ 0: x!, 1: y! }), B: withB(generator), C: altered({ 6: x!, 7: y! }) };
    await refused('PROOF_INVALID', proofs[point as 'A' | 'B' | 'C']);
  });
});

describe('what anybody makes of a proof without knowing a witness holds: bytes identify nothing', () => {
  /** (s⁻¹·A, s·B + s·t·δ, C + t·A), from public points alone. */
  async function rerandomised(s: bigint, t: bigint): Promise<Uint8Array> {
    const { G1 } = await bn254();
    const [ax, ay, , , , , cx, cy] = decodeProof(proven.proof);
    const [a, c] = [G1.fromObject([ax, ay]), G1.fromObject([cx, cy])];
    const inverse = power(s, FIELD_ORDER - 2n);
    const [newA, newC] = [G1.timesScalar(a, inverse), G1.add(c, G1.timesScalar(a, t))].map(
      (point) => G1.toObject(G1.toAffine(point)) as bigint[],
    ) as [bigint[], bigint[]];
    const [dx, dy] = simulated.key.vk_delta_2;
    const delta: TwistPoint = [
      [BigInt(dx[0]), BigInt(dx[1])],
      [BigInt(dy[0]), BigInt(dy[1])],
    ];
    const scaled = (await timesOnTwist(pointB(), s))!;
    const shift = (await timesOnTwist(delta, (s * t) % FIELD_ORDER))!;
    const [bx, by] = (await sumOnTwist(scaled, shift))!;
    return encodeProof([newA[0]!, newA[1]!, bx[1], bx[0], by[1], by[0], newC[0]!, newC[1]!]);
  }

  const power = (base: bigint, exponent: bigint): bigint => {
    if (exponent === 0n) return 1n;
    const half = power((base * base) % FIELD_ORDER, exponent >> 1n);
    return exponent & 1n ? (half * base) % FIELD_ORDER : half;
  };

  test('the proof, randomised again', async () => {
    for (const i of [0, 1]) {
      const proof = await rerandomised(scalarOf('s', i), scalarOf('t', i));
      expect(proof).not.toEqual(proven.proof);
      await accepted(proof);
    }
  });

  test('but not for another statement', async () => {
    const proof = await rerandomised(scalarOf('s'), scalarOf('t'));
    await expectCode('PROOF_INVALID', verifier.verify(other.publicSignals, proof));
  });
});

describe('a key of another circuit', () => {
  test('with as many signals refuses the proof, with another number names the mismatch', async () => {
    const same = await createVerifier((await SimulatedKey.create(4, 'another')).key);
    await expectCode('PROOF_INVALID', same.verify(proven.publicSignals, proven.proof));
    const wider = await createVerifier((await SimulatedKey.create(5, 'wider')).key);
    const error = await expectCode('KEY_MISMATCH', wider.verify(proven.publicSignals, proven.proof));
    expect(error.details).toEqual({ expected: 5, got: 4 });
  });

  test('is refused when a point of it is on the twist but not in G2', async () => {
    const [[x0, x1], [y0, y1]] = await cofactorPoint(10069n);
    for (const field of ['vk_beta_2', 'vk_gamma_2', 'vk_delta_2'] as const) {
      const key = {
        ...simulated.key,
        [field]: [
          [`${x0}`, `${x1}`],
          [`${y0}`, `${y1}`],
          ['1', '0'],
        ],
      };
      const error = await expectCode('KEY_MISMATCH', createVerifier(key));
      expect(error.details).toEqual({ field });
    }
  });
});
