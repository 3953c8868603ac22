import type { Curve } from 'ffjavascript';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { loadCircuitArtefacts } from '../../src/proofs/artefacts.ts';
import { batchScalars } from '../../src/proofs/batch-scalars.ts';
import { bn254 } from '../../src/proofs/curve.ts';
import { decodeProof, encodeProof, type ProofCoordinates } from '../../src/proofs/encoding.ts';
import { FIELD_ORDER } from '../../src/proofs/field.ts';
import { createProver, type Prover } from '../../src/proofs/prove.ts';
import type { VerificationKey } from '../../src/proofs/verification-key.ts';
import {
  createVerifier,
  MAX_BATCH,
  type ProofVerifier,
  type ProvenStatement,
} from '../../src/proofs/verify.ts';
import type { Hex } from '../../src/protocol/bytes.ts';
import type { Code } from '../../src/protocol/codes.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { PRODUCT_CIRCUIT, productInput } from '../helpers/product-circuit.ts';
import { rerandomise } from '../helpers/rerandomise.ts';
import { Seeded } from '../helpers/steps.ts';

let curve: Curve;
let key: VerificationKey;
let verifier: ProofVerifier;
/** Different statements of one window, and one of another. */
let window: ProvenStatement[];
let elsewhere: ProvenStatement;

beforeAll(async () => {
  const artefacts = await loadCircuitArtefacts(PRODUCT_CIRCUIT);
  const prover: Prover = await createProver(artefacts);
  curve = await bn254();
  key = artefacts.verificationKey;
  verifier = await createVerifier(key);
  window = [];
  for (const [a, b] of [
    [6n, 7n],
    [5n, 9n],
    [1n, 1n],
    [255n, 3n],
  ]) {
    window.push(await prover.prove(productInput(a, b)));
  }
  elsewhere = await prover.prove({ ...productInput(2n, 3n), rho: 12n, folds: [8n, 9n] });
  await prover.close();
});

afterAll(() => vi.restoreAllMocks());

/** `count` different proofs of the window's statements. */
function valid(count: number, random = new Seeded(1)): ProvenStatement[] {
  return Array.from({ length: count }, (_, i) => {
    const { publicSignals, proof } = window[i % window.length]!;
    return { publicSignals, proof: rerandomise(curve, proof, BigInt(random.word() + 1)) };
  });
}

/** The item with one coordinate of its proof changed. */
function altered(item: ProvenStatement, coordinate: number, value: bigint): ProvenStatement {
  const coordinates = [...decodeProof(item.proof)];
  coordinates[coordinate] = value;
  return { ...item, proof: encodeProof(coordinates as unknown as ProofCoordinates) };
}

/** The item with `times · point` added to C. */
function shifted(item: ProvenStatement, point: Uint8Array, times: bigint): ProvenStatement {
  const { G1 } = curve;
  const coordinates = [...decodeProof(item.proof)];
  const c = G1.add(G1.fromObject(coordinates.slice(6)), G1.timesScalar(point, times));
  const [x, y] = G1.toObject(G1.toAffine(c)) as [bigint, bigint];
  coordinates.splice(6, 2, x, y);
  return { ...item, proof: encodeProof(coordinates as unknown as ProofCoordinates) };
}

const codes = async (items: readonly ProvenStatement[]) =>
  (await verifier.verifyMany(items)).map((error) => error?.code ?? null);

/** Every way to be wrong that a batch meets, with the code that `verify` gives it. */
const FAULTS: readonly (readonly [what: string, code: Code, (item: ProvenStatement) => ProvenStatement])[] = [
  [
    'another statement',
    'PROOF_INVALID',
    (item) => ({ ...item, publicSignals: item.publicSignals.with(0, 43n) }),
  ],
  ['another rho', 'PROOF_INVALID', (item) => ({ ...item, publicSignals: item.publicSignals.with(1, 5n) })],
  ['another C', 'PROOF_INVALID', (item) => shifted(item, curve.G1.g, 1n)],
  [
    'a signal beyond the field',
    'PROOF_INVALID',
    (item) => ({
      ...item,
      publicSignals: item.publicSignals.with(2, item.publicSignals[2]! + FIELD_ORDER),
    }),
  ],
  ['A off the curve', 'PROOF_ENCODING', (item) => altered(item, 1, 1n)],
  ['a truncated proof', 'PROOF_ENCODING', (item) => ({ ...item, proof: item.proof.subarray(0, 255) })],
  ['a proof of no bytes', 'PROOF_ENCODING', (item) => ({ ...item, proof: new Uint8Array() })],
  [
    'a proof of a byte too many',
    'PROOF_ENCODING',
    (item) => ({ ...item, proof: new Uint8Array([...item.proof, 0]) }),
  ],
  [
    'the signals of another circuit',
    'KEY_MISMATCH',
    (item) => ({ ...item, publicSignals: [...item.publicSignals, 1n] }),
  ],
];

describe('a batch', () => {
  test('of nothing gives nothing', async () => {
    expect(await codes([])).toEqual([]);
  });

  test.each([1, 2, 15, 16, 17, 40])('of %i valid proofs holds', async (count) => {
    expect(await codes(valid(count))).toEqual(new Array(count).fill(null));
  });

  test('larger than one equation takes holds, and a bad proof behind the limit is named', async () => {
    const items = valid(MAX_BATCH + 2);
    items[MAX_BATCH + 1] = FAULTS[0]![2](items[MAX_BATCH + 1]!);
    const expected = new Array<string | null>(MAX_BATCH + 2).fill(null);
    expected[MAX_BATCH + 1] = 'PROOF_INVALID';
    expect(await codes(items)).toEqual(expected);
  });

  test('may hold the same proof twice, and proofs of other windows', async () => {
    const [first, second] = valid(2) as [ProvenStatement, ProvenStatement];
    expect(await codes([first, elsewhere, first, second, elsewhere])).toEqual(new Array(5).fill(null));
  });

  test.each(FAULTS)('names a proof with %s as verifying it alone does', async (_, code, change) => {
    const items = valid(5);
    items[3] = change(items[3]!);
    await expectCode(code, verifier.verify(items[3].publicSignals, items[3].proof));
    expect(await codes(items)).toEqual([null, null, null, code, null]);
  });

  test('names exactly the bad ones, whichever they are', async () => {
    const random = new Seeded(9);
    for (let run = 0; run < (process.env.GRAIL_LONG ? 60 : 4); run++) {
      const items = valid(random.int(2, 24), random);
      const share = random.int(1, 6);
      const expected = items.map((item, i) => {
        if (random.int(1, share) !== 1) return null;
        const [, code, change] = random.pick(FAULTS);
        items[i] = change(item);
        return code;
      });
      expect(await codes(items)).toEqual(expected);
    }
  });

  test('of bad proofs alone is refused, one by one', async () => {
    const items = valid(6).map((item) => FAULTS[2]![2](item));
    expect(await codes(items)).toEqual(new Array(6).fill('PROOF_INVALID'));
  });

  test('finds one bad proof among 64 with two equations a halving', async () => {
    const items = valid(64);
    items[37] = FAULTS[2]![2](items[37]!);
    const equations = vi.spyOn(curve, 'finalExponentiation');
    const found = await codes(items);
    expect(found.indexOf('PROOF_INVALID')).toBe(37);
    expect(equations.mock.calls.length).toBe(1 + 2 * 6);
    equations.mockRestore();
  });
});

describe('two invalid proofs', () => {
  /** The batch equation with scalars that the caller chooses: what a verifier with predictable ones would check. */
  function naive(items: readonly ProvenStatement[], scalars: readonly bigint[]): boolean {
    const { G1, G2, Gt } = curve;
    const g1 = (point: readonly string[]) => G1.fromObject(point.slice(0, 2).map(BigInt));
    const g2 = (point: readonly (readonly string[])[]) =>
      G2.fromObject(point.slice(0, 2).map((pair) => pair.map(BigInt)));
    let product = Gt.one;
    const multiply = (p: Uint8Array, q: Uint8Array) => {
      product = Gt.mul(product, curve.pairing(p, q));
    };
    for (const [j, { publicSignals, proof }] of items.entries()) {
      const [ax, ay, bx1, bx0, by1, by0, cx, cy] = decodeProof(proof);
      const z = scalars[j]!;
      let point = g1(key.IC[0]!);
      for (const [i, signal] of publicSignals.entries()) {
        point = G1.add(point, G1.timesScalar(g1(key.IC[i + 1]!), signal));
      }
      multiply(
        G1.timesScalar(G1.fromObject([ax, ay]), z),
        G2.fromObject([
          [bx0, bx1],
          [by0, by1],
        ]),
      );
      const minus = (p: Uint8Array) => G1.neg(G1.timesScalar(p, z));
      multiply(minus(g1(key.vk_alpha_1)), g2(key.vk_beta_2));
      multiply(minus(point), g2(key.vk_gamma_2));
      multiply(minus(G1.fromObject([cx, cy])), g2(key.vk_delta_2));
    }
    return Gt.eq(product, Gt.one);
  }

  /** Errors in C that cancel when these scalars weigh them. */
  function cancelling(items: readonly ProvenStatement[], [z0, z1]: readonly bigint[]): ProvenStatement[] {
    const point = curve.G1.timesScalar(curve.G1.g, 123_456_789n);
    return [shifted(items[0]!, point, z1!), shifted(items[1]!, point, FIELD_ORDER - z0!)];
  }

  test('that cancel under known scalars satisfy that equation, and are refused both', async () => {
    const honest = valid(2);
    for (const scalars of [
      [1n, 1n],
      [3n, 2n ** 127n + 5n],
      // Those of the honest batch: what a forger knows who may exchange proofs after the scalars are drawn.
      batchScalars(verifier.verificationKeyHash as Hex, honest),
    ]) {
      const forged = cancelling(honest, scalars);
      expect(naive(forged, scalars)).toBe(true);
      expect(await codes(forged)).toEqual(['PROOF_INVALID', 'PROOF_INVALID']);
    }
  });
});
