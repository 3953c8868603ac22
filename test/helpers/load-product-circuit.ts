/** A process that loads the test circuit's artefacts from the cache folder it is given, and prints what it got. */
import { readFile } from 'node:fs/promises';
import { loadCircuitArtefacts } from '../../src/proofs/artefacts.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { PRODUCT_CIRCUIT } from './product-circuit.ts';

const stages: string[] = [];
const artefacts = await loadCircuitArtefacts(PRODUCT_CIRCUIT, {
  cacheDirectory: process.argv[2]!,
  onProgress: ({ stage }) => {
    if (!stages.includes(stage)) stages.push(stage);
  },
});
const zkey = toHex(sha256(await readFile(artefacts.zkey)));
console.log(JSON.stringify({ zkey, verificationKey: artefacts.verificationKeyHash, stages }));
