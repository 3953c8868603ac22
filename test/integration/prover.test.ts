import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { groth16 } from 'snarkjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { type CircuitArtefacts, loadCircuitArtefacts } from '../../src/proofs/artefacts.ts';
import { bn254 } from '../../src/proofs/curve.ts';
import { insecureDevSecrets, verificationKeyOf } from '../../src/proofs/development-keys.ts';
import {
  encodeProof,
  proofFromSnarkjs,
  proofToSnarkjs,
  type SnarkjsProof,
} from '../../src/proofs/encoding.ts';
import { FIELD_ORDER, writeField } from '../../src/proofs/fields.ts';
import { createGroth16Prover, type Groth16Prover } from '../../src/proofs/groth16/prover.ts';
import { groth16Setup } from '../../src/proofs/groth16-setup.ts';
import { createProver } from '../../src/proofs/prove.ts';
import type { VerificationKey } from '../../src/proofs/verification-key.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { PRODUCT_CIRCUIT, productInput } from '../helpers/product-circuit.ts';
import { Seeded } from '../helpers/steps.ts';
import { randomElement } from '../support/groth16-kernel.ts';
import { randomSystem } from '../support/random-system.ts';

function bytesOf(witness: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array(32 * witness.length);
  witness.forEach((value, i) => {
    writeField(new DataView(bytes.buffer), 32 * i, value);
  });
  return bytes;
}

/** A .wtns file, version 2. */
function wtnsOf(values: Uint8Array): Uint8Array {
  const file = new Uint8Array(76 + values.length);
  const view = new DataView(file.buffer);
  [0x736e7477, 2, 2, 1, 40, 0, 32].forEach((word, i) => {
    view.setUint32(4 * i, word, true);
  });
  writeField(view, 28, FIELD_ORDER);
  [values.length / 32, 2, values.length, 0].forEach((word, i) => {
    view.setUint32(60 + 4 * i, word, true);
  });
  file.set(values, 76);
  return file;
}

/** What snarkjs computes with these blinding factors. */
async function snarkjsProof(zkey: Uint8Array, witness: Uint8Array, blinding: readonly bigint[]) {
  const curve = await bn254();
  const field = curve.Fr as unknown as { random(): Uint8Array; e(value: bigint): Uint8Array };
  const original = field.random;
  const queue = [...blinding];
  field.random = () => field.e(queue.shift()!);
  try {
    (globalThis as { curve_bn128?: unknown }).curve_bn128 = curve;
    const { proof } = await groth16.prove(zkey, wtnsOf(witness));
    return proofFromSnarkjs(proof as unknown as SnarkjsProof);
  } finally {
    field.random = original;
  }
}

const snarkjsVerifies = async (key: VerificationKey, signals: readonly bigint[], proof: Uint8Array) => {
  (globalThis as { curve_bn128?: unknown }).curve_bn128 = await bn254();
  return groth16.verify(
    key as unknown as Parameters<typeof groth16.verify>[0],
    signals.map(String),
    proofToSnarkjs(proof) as unknown as Parameters<typeof groth16.verify>[2],
  );
};

describe.each([
  ['few constraints, one public wire', 1, 3, 1],
  ['a domain of two', 2, 1, 0],
  ['as many as fill a domain', 3, 59, 4],
  ['more', 4, process.env.GRAIL_LONG ? 4000 : 300, 9],
])('a system of %s', (_, seed, constraints, publics) => {
  const { r1cs, witness } = randomSystem(new Seeded(seed), constraints, publics);
  const values = bytesOf(witness);
  const signals = witness.slice(1, publics + 1);
  const random = new Seeded(100 + seed);
  let zkey: Uint8Array;
  let key: VerificationKey;
  const provers: Groth16Prover[] = [];

  beforeAll(async () => {
    const curve = await bn254();
    zkey = await groth16Setup(curve, r1cs, insecureDevSecrets());
    key = verificationKeyOf(curve, zkey);
    provers.push(await createGroth16Prover(zkey), await createGroth16Prover(zkey, { threads: 2 }));
    return () => Promise.all(provers.map((prover) => prover.close()));
  });

  test('the proof is snarkjs’ own bit for bit when the blinding is, on one thread and on two', async () => {
    for (const blinding of [
      [0n, 0n],
      [1n, FIELD_ORDER - 1n],
      [randomElement(random, FIELD_ORDER), randomElement(random, FIELD_ORDER)],
    ] as [bigint, bigint][]) {
      const want = await snarkjsProof(zkey, values, blinding);
      for (const prover of provers) {
        expect(encodeProof(await prover.prove(values, blinding))).toEqual(want);
      }
      expect(await snarkjsVerifies(key, signals, want)).toBe(true);
    }
  });

  test('a proof from a false witness does not verify', async () => {
    for (const wire of [witness.length - 1, publics + 5]) {
      const altered = [...witness];
      altered[wire] = (altered[wire]! + 1n) % FIELD_ORDER;
      const proof = encodeProof(await provers[0]!.prove(bytesOf(altered), [5n, 7n]));
      expect(await snarkjsVerifies(key, signals, proof)).toBe(false);
    }
  });

  test('proofs that are asked for at once are each right', async () => {
    const blindings = [1n, 2n, 3n].map((r) => [r, r + 1n] as const);
    const at = await Promise.all(blindings.map((blinding) => provers[1]!.prove(values, blinding)));
    for (const [i, blinding] of blindings.entries()) {
      expect(at[i]).toEqual(await provers[0]!.prove(values, blinding));
    }
  });

  test('a witness of another size, with another constant or with a value of r is refused', async () => {
    const [prover] = provers;
    const refused = async (alter: (w: bigint[]) => void) => {
      const altered = [...witness];
      alter(altered);
      await expectCode('PROVER_FAILED', prover!.prove(bytesOf(altered), [1n, 2n]));
    };
    await refused((w) => w.push(0n));
    await refused((w) => {
      w[0] = 2n;
    });
    await refused((w) => {
      w[w.length - 1] = FIELD_ORDER;
    });
    await refused((w) => {
      w[1] = (1n << 256n) - 1n;
    });
  });
});

describe('createProver', () => {
  let artefacts: CircuitArtefacts;
  beforeAll(async () => {
    artefacts = await loadCircuitArtefacts(PRODUCT_CIRCUIT);
  });

  test.each([
    ['kernel', 'single'],
    ['kernel', 'multi'],
    ['snarkjs', 'single'],
  ] as const)(
    'with %s, %s, its proofs verify with snarkjs alone and are never the same',
    async (engine, threads) => {
      const prover = await createProver(artefacts, { engine, threads });
      try {
        expect(prover.engine).toBe(engine);
        const first = await prover.prove(productInput());
        const second = await prover.prove(productInput());
        expect(first.publicSignals).toEqual([42n, 11n, 3n, 4n]);
        expect(first.proof).not.toEqual(second.proof);
        for (const { proof, publicSignals } of [first, second]) {
          expect(await snarkjsVerifies(artefacts.verificationKey, publicSignals, proof)).toBe(true);
        }
      } finally {
        await prover.close();
      }
    },
  );

  test('with the blinding given, the proof is determined by the input', async () => {
    const proofs: Uint8Array[] = [];
    for (const threads of ['single', 'multi'] as const) {
      let next = 1n;
      const prover = await createProver(artefacts, { threads, engine: 'kernel', randomScalar: () => next++ });
      proofs.push((await prover.prove(productInput())).proof);
      await prover.close();
    }
    expect(proofs[0]).toEqual(proofs[1]);
  });

  test('threads neither keep a process alive nor outlive their prover', async () => {
    const child = spawn(process.execPath, [
      '--disable-warning=ExperimentalWarning',
      fileURLToPath(new URL('../support/unclosed-prover.ts', import.meta.url)),
    ]);
    let printed = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
    const [code] = await once(child, 'close');
    expect({ code, printed }).toEqual({ code: 0, printed: 'proved\n' });
  });

  test('a closed prover with threads refuses', async () => {
    const prover = await createProver(artefacts, { threads: 'multi', engine: 'kernel' });
    await prover.close();
    await expectCode('STOPPED', prover.prove(productInput()));
  });

  test('a key that is cut off, of another format or another curve is refused', async () => {
    const zkey = new Uint8Array(readFileSync(artefacts.zkey));
    const altered = (at: number) => {
      const copy = zkey.slice();
      copy[at]! ^= 1;
      return copy;
    };
    for (const bad of [
      zkey.slice(0, zkey.length - 1),
      zkey.slice(0, 5),
      altered(0),
      altered(4),
      altered(24),
      altered(44),
    ]) {
      await expectCode('PROVER_FAILED', createGroth16Prover(bad));
    }
  });
});
