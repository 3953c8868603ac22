import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ErrorFragment, Interface } from 'ethers';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileSolidity } from '../../contracts/compile.ts';
import { PROOF_VERIFIER_ABI } from '../../src/chain/abi.ts';
import { exportVerifier } from '../../src/chain/export-verifier.ts';
import { type CircuitArtefacts, loadCircuitArtefacts } from '../../src/proofs/artefacts.ts';
import { decodeProof, encodeProof, type ProofCoordinates } from '../../src/proofs/encoding.ts';
import { BASE_FIELD, FIELD_ORDER } from '../../src/proofs/fields.ts';
import { createProver, type ProofResult } from '../../src/proofs/prove.ts';
import { createVerifier, type ProofVerifier } from '../../src/proofs/verify.ts';
import { concat } from '../../src/protocol/bytes.ts';
import { packageRoot } from '../../src/storage/package-root.ts';
import { DIGEST_CIRCUIT, digestInput } from '../helpers/digest-circuit.ts';
import { type Anvil, startAnvil } from '../support/anvil.ts';
import { type Deployed, deploy, encode, outcome } from '../support/contract.ts';
import { snarkjsArguments, snarkjsContract } from '../support/snarkjs-contract.ts';

/** What a point outside the subgroup needs to be called so, the transaction's own cost included. */
const GAS_FOR_A_VERDICT = 450_000;

let artefacts: CircuitArtefacts;
let reference: ProofVerifier;
let proven: ProofResult;
let other: ProofResult;
let node: Anvil;
let source: string;
let verifier: Deployed;

beforeAll(async () => {
  artefacts = await loadCircuitArtefacts(DIGEST_CIRCUIT);
  reference = await createVerifier(artefacts.verificationKey);
  const prover = await createProver(artefacts);
  proven = await prover.prove(digestInput(6n, 7n, 11n));
  other = await prover.prove(digestInput(5n, 9n, 11n));
  await prover.close();
  source = await exportVerifier(artefacts.verificationKey, { insecureDev: true });
  node = await startAnvil();
  verifier = await deployed(source);
});

afterAll(() => node?.stop());

const deployed = (text: string) => deploy(node, compileSolidity(text).get('SpotCheckVerifier')!);

/** The exported contract with one text replaced, which must be there once. */
function changed(from: string, to: string): Promise<Deployed> {
  expect(source.split(from)).toHaveLength(2);
  return deployed(source.replace(from, to));
}

const call = (proof: Uint8Array, signals: readonly bigint[] = proven.publicSignals) =>
  encode(verifier, 'verify', proof, signals);
const verify = (proof: Uint8Array, signals?: readonly bigint[], gas?: number) =>
  outcome(verifier, call(proof, signals), gas);

/** The proof with some coordinates replaced: 0–1 are A, 2–5 B, 6–7 C. */
function altered(changes: { readonly [coordinate: number]: bigint }): Uint8Array {
  const coordinates = [...decodeProof(proven.proof)];
  for (const [index, value] of Object.entries(changes)) coordinates[Number(index)] = value;
  return encodeProof(coordinates as unknown as ProofCoordinates);
}

/** x = u: on the twist, of another order than r. */
const OUTSIDE = {
  2: 1n,
  3: 0n,
  4: 3499505209057624827709920819629410982529044040404494099368353913743455207650n,
  5: 5857410223677516958241855868975604786906559121396168184066542210254491971240n,
};

/** The contract's own word for it, and the call's. */
const SHORT = ['NotEnoughGas()', 'out of gas'];

/**
 * The outcomes of a call at rising gas limits, from one that is far too little, in order and without repetitions, the two
 * ways to run short as one. Between two limits with different outcomes it looks until they are neighbours.
 */
async function sweep(contract: Deployed, data: string, to: number, method?: string): Promise<string[]> {
  const step = process.env.GRAIL_LONG ? 331 : 9_001;
  const at = async (gas: number) => {
    const result = await outcome(contract, data, gas, method);
    return SHORT.includes(result) ? 'no verdict' : result;
  };
  const between = async (low: number, high: number, before: string, after: string): Promise<string[]> => {
    if (before === after) return [];
    if (high - low === 1) return [after];
    const middle = (low + high) >> 1;
    const here = await at(middle);
    return [...(await between(low, middle, before, here)), ...(await between(middle, high, here, after))];
  };
  let before = await at(21_000);
  const found = [before];
  for (let gas = 21_000 + step; gas <= to; gas += step) {
    const after = await at(gas);
    found.push(...(await between(gas - step, gas, before, after)));
    before = after;
  }
  return found;
}

describe('the exported contract', () => {
  test('accepts a proof of its statement', async () => {
    await reference.verify(proven.publicSignals, proven.proof);
    expect(await verify(proven.proof)).toBe('true');
    expect(await verify(other.proof, other.publicSignals)).toBe('true');
  });

  test.each([0, 1, 2])('refuses a proof when signal %i is one more', async (index) => {
    const signals = proven.publicSignals.map((signal, i) => (i === index ? signal + 1n : signal));
    expect(await verify(proven.proof, signals)).toBe('ProofInvalid()');
  });

  test.each([0, 1, 2])('refuses signal %i given as its value plus the field order', async (index) => {
    const signals = proven.publicSignals.map((signal, i) => (i === index ? signal + FIELD_ORDER : signal));
    expect(await verify(proven.proof, signals)).toBe(`SignalOutOfRange(${index})`);
  });

  test('takes the field order less one for a signal, and not the field order', async () => {
    const [, ...rest] = proven.publicSignals;
    expect(await verify(proven.proof, [FIELD_ORDER - 1n, ...rest])).toBe('ProofInvalid()');
    expect(await verify(proven.proof, [FIELD_ORDER, ...rest])).toBe('SignalOutOfRange(0)');
    expect(await verify(proven.proof, [2n ** 256n - 1n, ...rest])).toBe('SignalOutOfRange(0)');
  });

  test.each([
    [0, []],
    [2, [42n, 11n]],
    [4, [42n, 11n, 66n, 0n]],
  ])('refuses %i signals where its key has 3', async (count, signals) => {
    expect(await verify(proven.proof, signals)).toBe(`SignalCount(3, ${count})`);
  });

  test('refuses A negated, and C of another proof', async () => {
    const y = decodeProof(proven.proof)[1];
    expect(await verify(altered({ 1: BASE_FIELD - y }))).toBe('ProofInvalid()');
    const mixed = concat(proven.proof.subarray(0, 192), other.proof.subarray(192));
    expect(await verify(mixed)).toBe('ProofInvalid()');
  });

  test('accepts (−A, −B, C): the bytes of a proof identify nothing', async () => {
    const c = decodeProof(proven.proof);
    const negated = altered({ 1: BASE_FIELD - c[1], 4: BASE_FIELD - c[4], 5: BASE_FIELD - c[5] });
    expect(negated).not.toEqual(proven.proof);
    expect(await verify(negated)).toBe('true');
  });

  test.each([0, 1, 31, 255, 257, 288, 512])('refuses a proof of %i bytes', async (length) => {
    const bytes = new Uint8Array(length);
    bytes.set(proven.proof.subarray(0, length));
    expect(await verify(bytes)).toBe(`ProofLength(${length})`);
  });

  test('refuses calldata that ends early', async () => {
    const data = call(proven.proof);
    for (const bytes of [4, 36, 68, 100, 200, 356, data.length / 2 - 2]) {
      expect(await outcome(verifier, data.slice(0, 2 + 2 * bytes))).toBe('reverted');
    }
  });

  test.each([0, 1, 2, 3, 4, 5, 6, 7])('refuses coordinate %i with the modulus added', async (index) => {
    const value = decodeProof(proven.proof)[index]!;
    expect(await verify(altered({ [index]: value + BASE_FIELD }))).toBe(`CoordinateOutOfRange(${index})`);
  });

  test.each([
    ['A', 0, [0, 1]],
    ['B', 1, [2, 3, 4, 5]],
    ['C', 2, [6, 7]],
  ])('refuses %s at infinity', async (_, point, indices) => {
    const zeros = Object.fromEntries(indices.map((index) => [index, 0n]));
    expect(await verify(altered(zeros))).toBe(`PointAtInfinity(${point})`);
  });

  test.each([
    ['A', 1],
    ['B', 5],
    ['C', 7],
  ])('refuses %s off its curve', async (_, index) => {
    const value = decodeProof(proven.proof)[index]!;
    expect(await verify(altered({ [index]: (value + 1n) % BASE_FIELD }))).toBe('PointNotInGroup()');
    expect(await verify(altered({ [index]: 0n }))).toBe('PointNotInGroup()');
  });

  test('refuses B with the halves of its coordinates swapped', async () => {
    const c = decodeProof(proven.proof);
    expect(await verify(altered({ 2: c[3], 3: c[2], 4: c[5], 5: c[4] }))).toBe('PointNotInGroup()');
  });

  test('refuses B on its curve and outside the subgroup', async () => {
    expect(await verify(altered(OUTSIDE))).toBe('PointNotInGroup()');
  });

  test('refuses a proof with any bit flipped, as the reference does', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 2047 }), async (bit) => {
        const bytes = proven.proof.slice();
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        const [error] = await reference.verifyMany([{ ...proven, proof: bytes }]);
        const expected =
          error?.code === 'PROOF_INVALID' ? /^ProofInvalid/ : /^(?:PointNotInGroup|CoordinateOutOfRange)/;
        expect(await verify(bytes)).toMatch(expected);
      }),
      { numRuns: process.env.GRAIL_LONG ? 2048 : 40, seed: 1 },
    );
  });

  test('says which key it is of', async () => {
    const read = (method: string) => outcome(verifier, encode(verifier, method), undefined, method);
    expect(await read('verificationKeyHash')).toBe(artefacts.verificationKeyHash);
    expect(await read('signalCount')).toBe('3');
    expect(await read('insecureDev')).toBe('true');
  });

  test('has the interface that src/chain/abi.ts states, and the selector of docs/PROTOCOL.md', () => {
    expect(verifier.interface.getFunction('verify')!.selector).toBe('0x9649daae');
    expect(verifier.interface.format().sort()).toEqual(new Interface(PROOF_VERIFIER_ABI).format().sort());
  });
});

describe('with too little gas', () => {
  test('a valid proof is never refused, and valid from some limit on', async () => {
    expect(await sweep(verifier, call(proven.proof), 300_000)).toEqual(['no verdict', 'true']);
  });

  test('the contract says so itself where the pairing is what it cannot pay', async () => {
    expect(await verify(proven.proof, undefined, 100_000)).toBe('NotEnoughGas()');
    expect(await verify(proven.proof, undefined, 200_000)).toBe('NotEnoughGas()');
  });

  test('a proof of another statement never passes', async () => {
    expect(await sweep(verifier, call(proven.proof, other.publicSignals), 300_000)).toEqual([
      'no verdict',
      'ProofInvalid()',
    ]);
  });

  test(`a point outside the subgroup never passes, and is called so from ${GAS_FOR_A_VERDICT} on`, async () => {
    expect(await sweep(verifier, call(altered(OUTSIDE)), GAS_FOR_A_VERDICT)).toEqual([
      'no verdict',
      'PointNotInGroup()',
    ]);
    expect(await verify(altered(OUTSIDE), undefined, GAS_FOR_A_VERDICT)).toBe('PointNotInGroup()');
  });

  test('the estimated limit suffices', async () => {
    const transaction = { to: verifier.address, data: call(proven.proof) };
    const gasLimit = await node.provider.estimateGas(transaction);
    const sent = await node.signer.sendTransaction({ ...transaction, gasLimit });
    expect((await sent.wait())!.status).toBe(1);
  });

  test.each([
    ['pairing', 'PAIRING = 0x08', 8, 460_000],
    ['multiplication', 'MUL = 0x07', 7, 1_300_000],
  ])(
    'a dearer %s makes a valid proof need more gas, and does not make it a bad one',
    async (_, from, precompile, to) => {
      const compiled = compileSolidity(DEAR_PRECOMPILE).get('DearPrecompile')!;
      const dear = await deploy(node, compiled, precompile);
      const contract = await changed(from, `${from.split(' ')[0]} = uint160(${dear.address})`);
      expect(await sweep(contract, call(proven.proof), to)).toEqual(['no verdict', 'true']);
      expect(await outcome(contract, call(proven.proof), 300_000)).toBe('NotEnoughGas()');
    },
  );
});

describe('a transaction', () => {
  test('that verifies a proof of three signals takes at most 260,000 gas', async () => {
    const sent = await node.signer.sendTransaction({
      to: verifier.address,
      data: call(proven.proof),
      gasLimit: 500_000,
    });
    const receipt = (await sent.wait())!;
    expect(receipt.status).toBe(1);
    expect(receipt.gasUsed).toBeLessThanOrEqual(260_000n);
  });
});

describe('on a chain without a precompile', () => {
  test.each([
    ['addition', 'ADD = 0x06', 0x0600],
    ['multiplication', 'MUL = 0x07', 0x0700],
    ['pairing', 'PAIRING = 0x08', 0x0800],
  ])('%s, no proof passes', async (_, from, missing) => {
    const contract = await changed(from, `${from.split(' ')[0]} = ${missing}`);
    expect(await outcome(contract, call(proven.proof))).toBe(`PrecompileMissing(${missing})`);
  });
});

describe('snarkjs’ own contract of the same key', () => {
  let text: string;
  let plain: Deployed;
  const ask = (proof: Uint8Array, publicSignals = proven.publicSignals) =>
    encode(plain, 'verifyProof', ...snarkjsArguments({ proof, publicSignals }));

  beforeAll(async () => {
    text = await snarkjsContract(artefacts.zkey);
    plain = await deploy(node, compileSolidity(text).get('Groth16Verifier')!);
  });

  test('agrees on every proof where gas suffices', async () => {
    const c = decodeProof(proven.proof);
    const cases: [proof: Uint8Array, signals?: readonly bigint[]][] = [
      [proven.proof],
      [other.proof, other.publicSignals],
      [altered({ 1: BASE_FIELD - c[1], 4: BASE_FIELD - c[4], 5: BASE_FIELD - c[5] })],
      [proven.proof, other.publicSignals],
      [altered({ 1: BASE_FIELD - c[1] })],
      [altered({ 7: BASE_FIELD - c[7] })],
      [altered({ 2: c[3], 3: c[2], 4: c[5], 5: c[4] })],
      [altered({ 0: (c[0] + 1n) % BASE_FIELD })],
      [altered(OUTSIDE)],
      [concat(proven.proof.subarray(0, 192), other.proof.subarray(192))],
      [proven.proof, proven.publicSignals.map((signal) => signal + FIELD_ORDER)],
    ];
    for (const [proof, signals] of cases) {
      const theirs = await outcome(plain, ask(proof, signals), undefined, 'verifyProof');
      expect(theirs).toBe(String((await verify(proof, signals)) === 'true'));
    }
  });

  test('answers false to a valid proof when gas is short', async () => {
    expect(await outcome(plain, ask(proven.proof), undefined, 'verifyProof')).toBe('true');
    const found = await sweep(plain, ask(proven.proof), 300_000, 'verifyProof');
    expect(found).toContain('false');
    expect(found.at(-1)).toBe('true');
  });

  test('answers a bit of the proof where the pairing precompile is missing', async () => {
    const from = 'staticcall(sub(gas(), 2000), 8,';
    expect(text.split(from)).toHaveLength(2);
    const missing = text.replace(from, 'staticcall(sub(gas(), 2000), 0x0800,');
    const contract = await deploy(node, compileSolidity(missing).get('Groth16Verifier')!);
    expect(await outcome(contract, ask(altered({ 0: 3n })), undefined, 'verifyProof')).toBe('true');
    expect(await outcome(contract, ask(altered({ 0: 2n })), undefined, 'verifyProof')).toBe('false');
  });
});

describe('a contract that acts on verdicts (contracts/examples/Claims.sol)', () => {
  let claims: Deployed;
  const submit = (proof: Uint8Array, signals = proven.publicSignals) =>
    encode(claims, 'submit', proof, signals);
  const [PROVEN, REFUSED] = ['1', '2'];

  beforeAll(async () => {
    const path = join(packageRoot(), 'contracts', 'examples', 'Claims.sol');
    const compiled = compileSolidity(readFileSync(path, 'utf8'), path).get('Claims')!;
    claims = await deploy(node, compiled, verifier.address);
  });

  const bad: [string, () => string][] = [
    ['an invalid proof', () => submit(proven.proof, other.publicSignals)],
    ['a point outside its group', () => submit(altered(OUTSIDE))],
    ['a point at infinity', () => submit(altered({ 0: 0n, 1: 0n }))],
    ['a coordinate that is too large', () => submit(altered({ 6: BASE_FIELD }))],
    ['a short proof', () => submit(proven.proof.subarray(1))],
  ];
  test.each(bad)('records %s as refused', async (_, data) => {
    expect(await outcome(claims, data(), undefined, 'submit')).toBe(REFUSED);
  });

  const VERDICTS = [
    'ProofLength',
    'CoordinateOutOfRange',
    'PointAtInfinity',
    'PointNotInGroup',
    'ProofInvalid',
  ];
  const errors = new Interface(PROOF_VERIFIER_ABI).fragments.filter(({ type }) => type === 'error');
  test.each(errors.map((fragment) => (fragment as ErrorFragment).name))(
    'takes %s for what it is: a verdict on the proof or none',
    async (name) => {
      const { inputs } = verifier.interface.getError(name)!;
      const reason = verifier.interface.encodeErrorResult(
        name,
        inputs.map(() => 1),
      );
      const data = encode(claims, 'isVerdict', reason);
      expect(await outcome(claims, data, undefined, 'isVerdict')).toBe(String(VERDICTS.includes(name)));
    },
  );

  test('takes a revert without data for no verdict', async () => {
    expect(await outcome(claims, encode(claims, 'isVerdict', '0x'), undefined, 'isVerdict')).toBe('false');
  });

  test('records a valid proof as proven, and at no gas limit as refused', async () => {
    const found = await sweep(claims, submit(proven.proof), 600_000, 'submit');
    expect(found.at(-1)).toBe(PROVEN);
    expect(found).not.toContain(REFUSED);
  });

  test('records no bad point as proven, at no gas limit', async () => {
    const found = await sweep(claims, submit(altered(OUTSIDE)), 600_000, 'submit');
    expect(found.at(-1)).toBe(REFUSED);
    expect(found).not.toContain(PROVEN);
  });

  test('takes a signal that is out of range for no verdict on the proof', async () => {
    const signals = proven.publicSignals.map((signal) => signal + FIELD_ORDER);
    expect(await outcome(claims, submit(proven.proof, signals), undefined, 'submit')).toMatch(/^NoVerdict/);
  });
});

/** Costs 340,000 gas, and does what the precompile does. */
const DEAR_PRECOMPILE = `// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.24;

contract DearPrecompile {
    address private immutable precompile;

    constructor(uint160 number) {
        precompile = address(number);
    }

    fallback(bytes calldata input) external returns (bytes memory output) {
        uint256 began = gasleft();
        (bool done, bytes memory result) = precompile.staticcall(input);
        require(done);
        while (began - gasleft() < 340_000) {}
        output = result;
    }
}
`;
