import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { bytesToBig } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { bn254 } from './curve.ts';
import { decodeProof, encodeProof, proofFromSnarkjs, type SnarkjsProof } from './encoding.ts';
import { FIELD_ORDER } from './fields.ts';
import { isSupported } from './groth16/create-kernel.ts';
import { createGroth16Prover } from './groth16/prover.ts';
import { publicsOf } from './sections.ts';
import { type CircuitInput, WitnessCalculator } from './witness-calculator.ts';
import { publicSignalsOf, witnessValues } from './witness-file.ts';

export type { CircuitInput, CircuitValue } from './witness-calculator.ts';

/** Paths of what a prover needs; `Artefacts` has them. */
export interface ProverFiles {
  readonly wasm: string;
  readonly zkey: string;
}

export interface ProverOptions {
  /** `single` computes in this thread; `multi` with more, one a core (at most four of this project's own prover). */
  readonly threads?: 'single' | 'multi';
  /**
   * `kernel`: this project's prover (groth16/); `snarkjs`: ten times slower, on any machine. Default: `kernel` where the machine can run it, else
   * `snarkjs`. Their proofs are of the same kind.
   */
  readonly engine?: 'kernel' | 'snarkjs';
  /** A uniform number below r; for tests. Default: from node:crypto. Only of `kernel`. */
  readonly randomScalar?: () => bigint;
}

export interface ProofResult {
  /** 256 bytes (docs/PROTOCOL.md, Proof encoding). */
  readonly proof: Uint8Array;
  /** As the witness has them, in the circuit's order. */
  readonly publicSignals: readonly bigint[];
  readonly witnessMs: number;
  readonly proveMs: number;
}

/** What a prover does at a time: the witness, then the proof. */
export type ProofStage = 'witness' | 'proof';

export interface Prover {
  /**
   * @param onStage called when a stage begins
   * @throws GrailError WITNESS_FAILED when the input does not satisfy the circuit (with the constraint's text);
   *   PROVER_FAILED when proving fails.
   */
  prove(input: CircuitInput, onStage?: (stage: ProofStage) => void): Promise<ProofResult>;
  /** Ends the prover's threads, if it has any. */
  close(): Promise<void>;
  readonly engine: 'kernel' | 'snarkjs';
}

/** From a witness (.wtns) to a proof. */
interface Engine {
  prove(witness: Uint8Array): Promise<Uint8Array>;
  close(): Promise<void>;
}

const MOST_THREADS = 4;

/**
 * A prover in this process, which witness and proof block: services use a pool (pool.ts).
 * @throws GrailError PROVER_FAILED when the key cannot be used
 */
export async function createProver(files: ProverFiles, options: ProverOptions = {}): Promise<Prover> {
  const engine = options.engine ?? ((await isSupported()) ? 'kernel' : 'snarkjs');
  const calculator = await WitnessCalculator.compile(await readFile(files.wasm));
  const zkey = new Uint8Array(await readFile(files.zkey));
  const { prove, close } = await (engine === 'kernel' ? kernelEngine : snarkjsEngine)(zkey, options);
  const publics = publicsOf(zkey);

  return {
    engine,
    async prove(input, onStage = () => {}) {
      const started = performance.now();
      onStage('witness');
      const witness = await calculator.calculate(input);
      const between = performance.now();
      onStage('proof');
      const proof = await prove(witness);
      const proveMs = performance.now() - between;
      return {
        proof,
        publicSignals: publicSignalsOf(witness, publics),
        witnessMs: between - started,
        proveMs,
      };
    },
    close,
  };
}

async function kernelEngine(
  zkey: Uint8Array,
  { threads = 'single', randomScalar = uniformScalar }: ProverOptions,
): Promise<Engine> {
  const most = Math.min(MOST_THREADS, availableParallelism());
  const prover = await createGroth16Prover(zkey, { threads: threads === 'single' ? 1 : most });
  return {
    async prove(witness) {
      const proof = encodeProof(await prover.prove(witnessValues(witness), [randomScalar(), randomScalar()]));
      decodeProof(proof);
      return proof;
    },
    close: prover.close,
  };
}

/** Uniform below r: 254 random bits until they are. */
function uniformScalar(): bigint {
  for (;;) {
    const bytes = new Uint8Array(randomBytes(32));
    bytes[0]! &= 0x3f;
    const value = bytesToBig(bytes);
    if (value < FIELD_ORDER) return value;
  }
}

// snarkjs uses this curve, if it is set, instead of building one for every proof, which takes 0.2 s.
const global = globalThis as { curve_bn128?: { terminate(): Promise<void> } | null };

async function snarkjsEngine(zkey: Uint8Array, { threads = 'single' }: ProverOptions): Promise<Engine> {
  const { groth16 } = await import('snarkjs');
  const single = threads === 'single' ? await bn254() : undefined;
  return {
    async prove(witness) {
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
      return proofFromSnarkjs(result.proof as unknown as SnarkjsProof);
    },
    async close() {
      if (threads === 'multi') await global.curve_bn128?.terminate();
    },
  };
}
