/** A process with a proof pool, for tests that kill it: prints its workers' process ids while one of them proves. */
import { loadCircuitArtefacts } from '../../src/proofs/artefacts.ts';
import { createProofPool } from '../../src/proofs/pool.ts';
import { PRODUCT_CIRCUIT, productInput } from './product-circuit.ts';

const pool = createProofPool({ size: 2, artefacts: await loadCircuitArtefacts(PRODUCT_CIRCUIT) });
pool.warm();
await pool.prove(productInput());
console.log(JSON.stringify(pool.pids));
for (;;) await pool.prove(productInput());
