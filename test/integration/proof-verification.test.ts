import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import fc from 'fast-check';
import { buildBn128, type Curve } from 'ffjavascript';
import { type Groth16Proof, groth16 } from 'snarkjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CircuitArtefacts, loadCircuitArtefacts } from '../../src/proofs/artefacts.ts';
import {
  decodeProof,
  encodeProof,
  type ProofCoordinates,
  proofFromSnarkjs,
  proofToSnarkjs,
} from '../../src/proofs/encoding.ts';
import { BASE_FIELD, FIELD_ORDER } from '../../src/proofs/fields.ts';
import { createProver, type ProofResult, type Prover } from '../../src/proofs/prove.ts';
import type { VerificationKey } from '../../src/proofs/verification-key.ts';
import { createVerifier, type ProofVerifier } from '../../src/proofs/verify.ts';
import { concat } from '../../src/protocol/bytes.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { PRODUCT_CIRCUIT, productInput } from '../helpers/product-circuit.ts';

let artefacts: CircuitArtefacts;
let prover: Prover;
let verifier: ProofVerifier;
let proven: ProofResult;
let other: ProofResult;

beforeAll(async () => {
  artefacts = await loadCircuitArtefacts(PRODUCT_CIRCUIT);
  prover = await createProver(artefacts);
  verifier = await createVerifier(artefacts.verificationKey);
  proven = await prover.prove(productInput(6n, 7n));
  other = await prover.prove(productInput(5n, 9n));
});

afterAll(async () => {
  await prover.close();
  await (globalThis as { curve_bn128?: Curve | null }).curve_bn128?.terminate();
});

/** The proof with some coordinates replaced: 0–1 are A, 2–5 B, 6–7 C. */
function altered(changes: { readonly [coordinate: number]: bigint }): Uint8Array {
  const coordinates = [...decodeProof(proven.proof)];
  for (const [index, value] of Object.entries(changes)) coordinates[Number(index)] = value;
  return encodeProof(coordinates as unknown as ProofCoordinates);
}

const verify = (proof: Uint8Array, signals = proven.publicSignals) => verifier.verify(signals, proof);

describe('a proof', () => {
  test('verifies for its statement', async () => {
    await verify(proven.proof);
  });

  test('has the statement, rho and the folds as its public signals, in this order', () => {
    expect(proven.publicSignals).toEqual([42n, 11n, 3n, 4n]);
  });

  test('verifies with snarkjs too', async () => {
    const signals = proven.publicSignals.map(String);
    const proof = proofToSnarkjs(proven.proof) as unknown as Groth16Proof;
    expect(await groth16.verify(artefacts.verificationKey as never, signals, proof)).toBe(true);
  });

  test('does not verify for another statement', async () => {
    await expectCode('PROOF_INVALID', verify(proven.proof, other.publicSignals));
  });

  test.each([0, 1, 2, 3])('does not verify when public signal %i is one more', async (index) => {
    const signals = proven.publicSignals.map((signal, i) => (i === index ? signal + 1n : signal));
    await expectCode('PROOF_INVALID', verify(proven.proof, signals));
    await verify(proven.proof);
  });

  test('does not verify when a signal is given as its value plus the field order', async () => {
    const signals = proven.publicSignals.map((signal, i) => (i === 0 ? signal + FIELD_ORDER : signal));
    const error = await expectCode('PROOF_INVALID', verify(proven.proof, signals));
    expect(error.details).toEqual({ signal: 0 });
  });

  test('does not verify when a signal is given as its value minus the field order', async () => {
    const signals = proven.publicSignals.map((signal, i) => (i === 3 ? signal - FIELD_ORDER : signal));
    const error = await expectCode('PROOF_INVALID', verify(proven.proof, signals));
    expect(error.details).toEqual({ signal: 3 });
  });

  test('is refused as of another circuit when the number of signals differs from the key’s', async () => {
    await expectCode('KEY_MISMATCH', verify(proven.proof, proven.publicSignals.slice(1)));
  });

  test('does not verify with A negated', async () => {
    const y = decodeProof(proven.proof)[1];
    await expectCode('PROOF_INVALID', verify(altered({ 1: BASE_FIELD - y })));
  });

  test('still verifies with A and B both negated: proofs are malleable, so bytes do not identify them', async () => {
    const c = decodeProof(proven.proof);
    await verify(altered({ 1: BASE_FIELD - c[1], 4: BASE_FIELD - c[4], 5: BASE_FIELD - c[5] }));
  });

  test('does not verify with C taken from another proof', async () => {
    await expectCode(
      'PROOF_INVALID',
      verify(concat(proven.proof.subarray(0, 192), other.proof.subarray(192))),
    );
  });
});

describe('the encoding of a proof', () => {
  test('comes back from snarkjs’ form', () => {
    expect(proofFromSnarkjs(proofToSnarkjs(proven.proof))).toEqual(proven.proof);
  });

  test.each([
    ['empty', 0],
    ['one byte short', 255],
    ['one byte long', 257],
    ['twice as long', 512],
  ])('is refused when it is %s', async (_, length) => {
    const bytes = new Uint8Array(length);
    bytes.set(proven.proof.subarray(0, length));
    const error = await expectCode('PROOF_ENCODING', verify(bytes));
    expect(error.details).toEqual({ expected: 256, got: length });
  });

  test.each([
    [0, 'A.x'],
    [1, 'A.y'],
    [2, 'B.x.c1'],
    [3, 'B.x.c0'],
    [4, 'B.y.c1'],
    [5, 'B.y.c0'],
    [6, 'C.x'],
    [7, 'C.y'],
  ])('is refused when coordinate %i has the modulus added to it', async (index, coordinate) => {
    const value = decodeProof(proven.proof)[index]!;
    const error = await expectCode('PROOF_ENCODING', verify(altered({ [index]: value + BASE_FIELD })));
    expect(error.details).toEqual({ coordinate });
  });

  test.each([
    ['A', [0, 1]],
    ['B', [2, 3, 4, 5]],
    ['C', [6, 7]],
  ])('is refused when %s is the point at infinity', async (point, indices) => {
    const zeros = Object.fromEntries((indices as number[]).map((index) => [index, 0n]));
    const error = await expectCode('PROOF_ENCODING', verify(altered(zeros)));
    expect(error.message).toBe(`${point} is the point at infinity`);
  });

  test.each([
    ['A', 1],
    ['B', 5],
    ['C', 7],
  ])('is refused when %s is not on the curve', async (point, index) => {
    const value = decodeProof(proven.proof)[index as number]!;
    const error = await expectCode('PROOF_ENCODING', verify(altered({ [index]: (value + 1n) % BASE_FIELD })));
    expect(error.message).toBe(`${point} is not a point on the curve`);
  });

  test('is refused when the halves of B’s coordinates are swapped', async () => {
    const c = decodeProof(proven.proof);
    await expectCode('PROOF_ENCODING', verify(altered({ 2: c[3], 3: c[2], 4: c[5], 5: c[4] })));
  });

  test('is refused when B is on the curve but not in the subgroup', async () => {
    // x = u (c0 = 0, c1 = 1): on the twist, of another order than r.
    const outside = {
      2: 1n,
      3: 0n,
      4: 3499505209057624827709920819629410982529044040404494099368353913743455207650n,
      5: 5857410223677516958241855868975604786906559121396168184066542210254491971240n,
    };
    const curve = await buildBn128(true);
    const point = curve.G2.fromObject([
      [outside[3], outside[2]],
      [outside[5], outside[4]],
    ]);
    expect(curve.G2.isValid(point)).toBe(true);
    const error = await expectCode('PROOF_ENCODING', verify(altered(outside)));
    expect(error.message).toMatch(/not in the subgroup/);
  });

  test('with any bit flipped is refused', async () => {
    const bits = process.env.GRAIL_LONG ? 2048 : 60;
    const bit = fc.integer({ min: 0, max: 2047 });
    await fc.assert(
      fc.asyncProperty(bit, async (index) => {
        const bytes = proven.proof.slice();
        bytes[index >> 3]! ^= 1 << (index & 7);
        const [error] = await verifier.verifyMany([{ publicSignals: proven.publicSignals, proof: bytes }]);
        expect(['PROOF_ENCODING', 'PROOF_INVALID']).toContain(error?.code);
      }),
      { numRuns: bits, seed: 1 },
    );
  });
});

describe('verifying many proofs', () => {
  test('gives each its own result, in order', async () => {
    const results = await verifier.verifyMany([
      proven,
      { ...proven, publicSignals: other.publicSignals },
      other,
      { ...other, proof: new Uint8Array(256) },
      proven,
    ]);
    expect(results.map((error) => error?.code ?? null)).toEqual([
      null,
      'PROOF_INVALID',
      null,
      'PROOF_ENCODING',
      null,
    ]);
  });

  test('does not reuse the shared signals’ sum when they change and when they change back', async () => {
    const changed = proven.publicSignals.map((signal, i) => (i === 3 ? signal + 1n : signal));
    const results = await verifier.verifyMany([proven, { ...proven, publicSignals: changed }, proven]);
    expect(results.map((error) => error?.code ?? null)).toEqual([null, 'PROOF_INVALID', null]);
  });
});

describe('a verifier', () => {
  const broken: [string, (key: VerificationKey) => VerificationKey][] = [
    ['another protocol', (key) => ({ ...key, protocol: 'plonk' }) as unknown as VerificationKey],
    ['a missing IC point', (key) => ({ ...key, IC: key.IC.slice(1) })],
    ['δ replaced by a point off the curve', (key) => ({ ...key, vk_delta_2: swapped(key.vk_delta_2) })],
    ['a coordinate above the modulus', (key) => ({ ...key, vk_alpha_1: [`${2n ** 255n}`, '1', '1'] })],
    ['a coordinate that is not a number', (key) => ({ ...key, vk_alpha_1: ['0x1', '2', '1'] })],
    ['α at infinity', (key) => ({ ...key, vk_alpha_1: ['0', '1', '0'] })],
  ];
  const swapped = (point: VerificationKey['vk_delta_2']): VerificationKey['vk_delta_2'] => [
    point[1],
    point[0],
    point[2],
  ];

  test.each(broken)('refuses a key with %s', async (_, change) => {
    await expectCode('KEY_MISMATCH', createVerifier(change(artefacts.verificationKey)));
  });

  test('of a key with γ and δ exchanged rejects honest proofs', async () => {
    const { vk_gamma_2, vk_delta_2, ...rest } = artefacts.verificationKey;
    const exchanged = await createVerifier({ ...rest, vk_gamma_2: vk_delta_2, vk_delta_2: vk_gamma_2 });
    await expectCode('PROOF_INVALID', exchanged.verify(proven.publicSignals, proven.proof));
  });
});

test('verification bundles for a browser: it needs nothing of Node, and is small', async () => {
  const { metafile, outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('../../src/proofs/browser.ts', import.meta.url))],
    bundle: true,
    minify: true,
    platform: 'browser',
    format: 'esm',
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  expect(Object.values(metafile.outputs).flatMap(({ imports }) => imports)).toEqual([]);
  const [{ contents, text }] = outputFiles as [(typeof outputFiles)[0]];
  expect(text).not.toMatch(/\bprocess\.(?!browser)/);
  // Half of it is the curve's binary in base64. With ffjavascript, or zod's languages, it is two or three times as large.
  expect(contents.length).toBeLessThan(260_000);
  expect(gzipSync(contents).length).toBeLessThan(85_000);
});

describe('a prover', () => {
  test('names the constraint that an input violates', async () => {
    const error = await expectCode('WITNESS_FAILED', prover.prove({ ...productInput(), statement: 43n }));
    expect(error.details.constraint).toMatch(/Error in template Product_\d+ line: 12/);
  });

  test('works again after a failed witness', async () => {
    await expectCode('WITNESS_FAILED', prover.prove(productInput(65_536n)));
    const { publicSignals, proof } = await prover.prove(productInput(65_535n, 2n));
    await verifier.verify(publicSignals, proof);
  });

  test.each([
    ['an input is missing', { statement: 42n, rho: 11n, folds: [3n, 4n], a: 6n }],
    ['an input is unknown', { ...productInput(), c: 1n }],
    ['an array is too short', { ...productInput(), folds: [3n] }],
    ['an array is too long', { ...productInput(), folds: [3n, 4n, 5n] }],
  ])('refuses when %s', async (_, input) => {
    await expectCode('WITNESS_FAILED', prover.prove(input));
  });

  test('gives another proof every time, and both verify', async () => {
    const again = await prover.prove(productInput(6n, 7n));
    expect(again.proof).not.toEqual(proven.proof);
    await verify(again.proof);
  });

  test('with several threads gives proofs that verify', async () => {
    const threaded = await createProver(artefacts, { threads: 'multi' });
    const { publicSignals, proof } = await threaded.prove(productInput(3n, 5n));
    await threaded.close();
    await verifier.verify(publicSignals, proof);
  });

  test('fails typed when the proving key is of another circuit', async () => {
    const zkey = new Uint8Array(await readFile(artefacts.zkey));
    const folder = await mkdtemp(join(tmpdir(), 'grail-zkey-'));
    zkey[12 + 12 + 4 + 12 + 72]! ^= 1; // the number of wires, in the header
    await writeFile(join(folder, 'zkey'), zkey);
    const files = { wasm: artefacts.wasm, zkey: join(folder, 'zkey') };
    await expectCode('PROVER_FAILED', createProver(files, { engine: 'kernel' }));
    const wrong = await createProver(files, { engine: 'snarkjs' });
    await expectCode('PROVER_FAILED', wrong.prove(productInput()));
    await rm(folder, { recursive: true });
  });
});
