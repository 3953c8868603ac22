import { readFile } from 'node:fs/promises';
import { groth16 } from 'snarkjs';
import { GrailError } from '../protocol/errors.ts';
import { bn254 } from './curve.ts';
import { proofFromSnarkjs, type SnarkjsProof } from './encoding.ts';
import { type CircuitInput, WitnessCalculator } from './witness-calculator.ts';

export type { CircuitInput, CircuitValue } from './witness-calculator.ts';

/** Paths of what a prover needs; `Artefacts` has them. */
export interface ProverFiles {
  readonly wasm: string;
  readonly zkey: string;
}

export interface ProofResult {
  /** 256 bytes (docs/PROTOCOL.md, Proof encoding). */
  readonly proof: Uint8Array;
  /** As the witness has them, in the circuit's order. */
  readonly publicSignals: readonly bigint[];
  readonly witnessMs: number;
  readonly proveMs: number;
}

export interface Prover {
  /**
   * @throws GrailError WITNESS_FAILED when the input does not satisfy the circuit (with the constraint's text);
   *   PROVER_FAILED when snarkjs fails.
   */
  prove(input: CircuitInput): Promise<ProofResult>;
  /** Ends the prover's threads, if it has any: they keep the process alive. */
  close(): Promise<void>;
}

// snarkjs uses this curve, if it is set, instead of building one for every proof, which takes 0.2 s.
const global = globalThis as { curve_bn128?: { terminate(): Promise<void> } | null };

/**
 * A prover in this process. Witness and proof block it for seconds: services use a pool (pool.ts).
 * @param threads `single` computes in this thread; `multi` in snarkjs' own, one a core
 */
export async function createProver(
  files: ProverFiles,
  { threads = 'single' }: { readonly threads?: 'single' | 'multi' } = {},
): Promise<Prover> {
  const calculator = await WitnessCalculator.compile(await readFile(files.wasm));
  const zkey = new Uint8Array(await readFile(files.zkey));
  const single = threads === 'single' ? await bn254() : undefined;

  return {
    async prove(input) {
      const started = performance.now();
      const witness = await calculator.calculate(input);
      const between = performance.now();
      if (single) global.curve_bn128 = single;
      else if (global.curve_bn128 === (await bn254())) global.curve_bn128 = null;
      const result = await groth16.prove(zkey, witness).catch((error: unknown): never => {
        throw new GrailError(
          'PROVER_FAILED',
          `snarkjs could not prove: ${String(error)}`,
          {},
          { cause: error },
        );
      });
      return {
        proof: proofFromSnarkjs(result.proof as unknown as SnarkjsProof),
        publicSignals: result.publicSignals.map(BigInt),
        witnessMs: between - started,
        proveMs: performance.now() - between,
      };
    },
    async close() {
      if (threads === 'multi') await global.curve_bn128?.terminate();
    },
  };
}
