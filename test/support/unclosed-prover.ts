/** A process that proves with several threads and does not close its prover: it must end by itself. */
import { loadCircuitArtefacts } from '../../src/proofs/artefacts.ts';
import { createProver } from '../../src/proofs/prove.ts';
import { useNodeSha256 } from '../../src/storage/node-hash.ts';
import { PRODUCT_CIRCUIT, productInput } from '../helpers/product-circuit.ts';

useNodeSha256();
const prover = await createProver(await loadCircuitArtefacts(PRODUCT_CIRCUIT), {
  threads: 'multi',
  engine: 'kernel',
});
await prover.prove(productInput());
console.log('proved');
