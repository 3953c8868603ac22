import { GrailError } from '../../protocol/errors.ts';
import type { ProofCoordinates } from '../encoding.ts';
import { FIELD_ORDER, readField, writeField } from '../fields.ts';
import { createKernel } from './create-kernel.ts';
import { Helpers } from './helpers.ts';
import { jobWorkBytes, planJobs, releaseLateJobs, resetJobs, type SumJob, workOff } from './jobs.ts';
import { type Kernel, pointBytes, SINGLE } from './kernel.ts';
import { loadProvingKey, type PointTable } from './proving-key.ts';
import { sumPart, workBytesFor } from './sums.ts';

export interface Groth16Options {
  /** Threads for one proof, this one included. Default 1. */
  readonly threads?: number;
}

export interface Groth16Prover {
  /**
   * The proof of a witness. It is not checked whether the witness satisfies the circuit: if it does not, the proof does not verify.
   * @param witness every wire's value, 32 bytes each, little-endian, below r
   * @param blinding two uniform numbers below r, never used twice: they hide the witness
   * @throws GrailError PROVER_FAILED when the witness is of another circuit, or a thread ended
   */
  prove(witness: Uint8Array, blinding: readonly [bigint, bigint]): Promise<ProofCoordinates>;
  /** Public wires without the constant one. */
  readonly publics: number;
  /** Bytes of memory that the prover holds. */
  readonly memoryBytes: number;
  close(): Promise<void>;
}

/**
 * A Groth16 prover over BN254 for one proving key (snarkjs' .zkey), on the kernel of assembly/bn254.
 * Source: Groth, On the Size of Pairing-based Non-interactive Arguments, eprint 2016/260, section 3.2; the quotient is evaluated as snarkjs
 * does it, on the odd half of the doubled domain, so that its keys fit.
 * @throws GrailError PROVER_FAILED when the key cannot be used or memory is short
 */
export async function createGroth16Prover(
  zkey: Uint8Array,
  { threads = 1 }: Groth16Options = {},
): Promise<Groth16Prover> {
  const kernel = await createKernel();
  const { run } = kernel;
  const key = loadProvingKey(kernel, zkey);
  const { domain, wires } = key;
  const scalars = kernel.allocate(32 * (wires + 2));
  const values = kernel.allocate(SINGLE * wires);
  const [a, b, c] = [0, 0, 0].map(() => kernel.allocate(SINGLE * domain.size)) as [number, number, number];
  const quotient = kernel.allocate(32 * domain.size);
  const { list, of } = planJobs(kernel, key, scalars, quotient);
  const last = makeCombination(kernel, [...of.c, ...of.h, ...of.a, ...of.b1], key.delta);
  const work = kernel.allocate(Math.max(jobWorkBytes(kernel, list), last.workBytes));
  const exported = kernel.allocate(32 * 4);
  const helpers = threads > 1 ? new Helpers(kernel, list, threads - 1) : undefined;

  if (helpers) {
    resetJobs(kernel, list, true);
    await helpers.work();
  }

  function computeQuotient(): void {
    const pairs = domain.size / 2;
    run.unpackScalars(values, scalars, wires);
    for (const [i, out] of [a, b].entries()) {
      const { ends, wires: columns, coefficients } = key.matrices[i]!;
      run.matrixTimesVector(out, domain.size, domain.order, ends, columns, coefficients, values);
    }
    run.products(c, a, b, pairs);
    for (const polynomial of [a, b, c]) {
      run.fftFromReversed(polynomial, domain.size, domain.inverseRoots);
      run.scale(polynomial, domain.shifts, pairs);
      run.fftToReversed(polynomial, domain.size, domain.roots);
    }
    run.quotient(quotient, a, b, c, pairs);
  }

  function coordinates(point: number, degree: number): bigint[] {
    run.exportNumbers(kernel.constants.q, exported, point, 2 * degree);
    return Array.from({ length: 2 * degree }, (_, i) => readField(kernel.view, exported + 32 * i));
  }

  let queue: Promise<unknown> = Promise.resolve();

  async function prove(witness: Uint8Array, [r, s]: readonly [bigint, bigint]): Promise<ProofCoordinates> {
    checkWitness(witness, wires);
    kernel.bytes(scalars, 32 * wires).set(witness);
    writeField(kernel.view, scalars + 32 * wires, r);
    writeField(kernel.view, scalars + 32 * (wires + 1), s);
    resetJobs(kernel, list);
    const helped = helpers?.work();
    // Heard below; without this a thread that ends meanwhile is an unhandled rejection.
    helped?.catch(() => {});
    try {
      try {
        computeQuotient();
      } finally {
        releaseLateJobs(kernel, list);
      }
      workOff(kernel, list, work);
    } finally {
      await helped;
    }
    const product = (FIELD_ORDER - ((r * s) % FIELD_ORDER)) % FIELD_ORDER;
    const factors = [...of.c.map(() => 1n), ...of.h.map(() => 1n), s, r, product];
    const combined = last.sum(factors, work);
    const [ax, ay] = coordinates(of.a[0]!.out, 1) as [bigint, bigint];
    const [bx0, bx1, by0, by1] = coordinates(of.b2[0]!.out, 2) as [bigint, bigint, bigint, bigint];
    const [cx, cy] = coordinates(combined, 1) as [bigint, bigint];
    return [ax, ay, bx1, bx0, by1, by0, cx, cy];
  }

  return {
    // One memory, one proof at a time.
    prove(witness, blinding) {
      const result = queue.then(() => prove(witness, blinding));
      queue = result.catch(() => {});
      return result;
    },
    publics: key.publics,
    get memoryBytes() {
      return kernel.memory.buffer.byteLength;
    },
    async close() {
      await helpers?.close();
    },
  };
}

/** C = Σ parts of C and H + s·A + r·B₁ − r·s·δ: a small sum over points that the jobs leave. */
function makeCombination(kernel: Kernel, jobs: readonly SumJob[], delta: number) {
  const most = jobs.length + 1;
  const table = kernel.allocate(most * pointBytes(1));
  const indices = kernel.allocate(4 * most);
  const scalars = kernel.allocate(32 * most);
  const out = kernel.allocate(pointBytes(1));
  const workBytes = workBytesFor(kernel, { degree: 1, table, indices, count: most });
  return {
    workBytes,
    /** @param factors one a job, then that of δ */
    sum(factors: readonly bigint[], work: number): number {
      let count = 0;
      [...jobs.map((job) => job.out), delta].forEach((at, i) => {
        const point = kernel.bytes(at, pointBytes(1));
        if (point.every((byte) => byte === 0)) return;
        kernel.bytes(table + count * pointBytes(1), pointBytes(1)).set(point);
        writeField(kernel.view, scalars + 32 * count, factors[i]!);
        kernel.words(indices, most)[count] = count;
        count++;
      });
      const points: PointTable = { degree: 1, table, indices, count };
      sumPart(kernel, points, scalars, out, work);
      return out;
    },
  };
}

/** The sums rely on it: a number that is not below r has digits where there is no room. */
function checkWitness(witness: Uint8Array, wires: number): void {
  const refuse = (why: string) => new GrailError('PROVER_FAILED', `not a witness for this key: ${why}`);
  if (witness.length !== 32 * wires)
    throw refuse(`${wires} wires take ${32 * wires} bytes, not ${witness.length}`);
  const view = new DataView(witness.buffer, witness.byteOffset, witness.byteLength);
  if (readField(view, 0) !== 1n) throw refuse('its first value is not 1');
  const top = Number(FIELD_ORDER >> 224n);
  for (let i = 0; i < wires; i++) {
    if (view.getUint32(32 * i + 28, true) >= top && readField(view, 32 * i) >= FIELD_ORDER) {
      throw refuse(`value ${i} is not below r`);
    }
  }
}
