import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { loadArtefacts } from '../../src/proofs/artefacts.ts';
import { createProofPool, type ProofPool } from '../../src/proofs/pool.ts';
import type { CircuitSpec } from '../../src/proofs/types.ts';
import { type ProverInput, witnessInput } from '../../src/proofs/witness-input.ts';
import { fromHex, type Hex, toHex } from '../../src/protocol/bytes.ts';
import { packageRoot } from '../../src/storage/package-root.ts';

const FILE = join(packageRoot(), '.cache', 'bench', 'network-proofs.jsonl');

/**
 * Proofs on disk: a network made from a seed asks for the same ones each time it is run with as many miners, and they
 * take longer to make than everything else.
 */
export class ProofCache {
  readonly #known = new Map<string, Hex>();
  readonly #spec: CircuitSpec;
  readonly #progress: (line: string) => void;
  #pool: ProofPool | null = null;

  constructor(spec: CircuitSpec, progress: (line: string) => void) {
    this.#spec = spec;
    this.#progress = progress;
    if (!existsSync(FILE)) return;
    for (const line of readFileSync(FILE, 'utf8').split('\n')) {
      if (line === '') continue;
      const { statement, proof } = JSON.parse(line) as { statement: string; proof: Hex };
      this.#known.set(statement, proof);
    }
  }

  /** A proof of each input, made in processes of their own where there is none. */
  async proofs(inputs: readonly Omit<ProverInput, 'spec'>[]): Promise<Uint8Array[]> {
    const statements = inputs.map(({ context, rho }) => `${context} ${rho}`);
    const missing = inputs.flatMap((input, i) => (this.#known.has(statements[i]!) ? [] : [{ input, i }]));
    if (missing.length > 0) await this.#make(missing, statements);
    return statements.map((statement) => fromHex(this.#known.get(statement)!));
  }

  async #make(
    missing: readonly { readonly input: Omit<ProverInput, 'spec'>; readonly i: number }[],
    statements: readonly string[],
  ): Promise<void> {
    const size = availableParallelism();
    this.#pool ??= createProofPool({ size, artefacts: await loadArtefacts(this.#spec) });
    mkdirSync(dirname(FILE), { recursive: true });
    let next = 0;
    const lane = async () => {
      while (next < missing.length) {
        const { input, i } = missing[next++]!;
        const { proof } = await this.#pool!.prove(witnessInput({ ...input, spec: this.#spec }));
        const [statement, hex] = [statements[i]!, toHex(proof)];
        this.#known.set(statement, hex);
        appendFileSync(FILE, `${JSON.stringify({ statement, proof: hex })}\n`);
        if (next % 100 === 0) this.#progress(`${next} of ${missing.length} proofs`);
      }
    };
    await Promise.all(Array.from({ length: size }, lane));
    // The verifier is measured without them.
    await this.#pool.close();
    this.#pool = null;
  }
}
