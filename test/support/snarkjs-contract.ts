import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { zKey } from 'snarkjs';
import { decodeProof } from '../../src/proofs/encoding.ts';
import { packageRoot } from '../../src/storage/package-root.ts';

const TEMPLATE = join('node_modules', 'snarkjs', 'templates', 'verifier_groth16.sol.ejs');

/** The source of the contract `Groth16Verifier` that snarkjs exports from a proving key. */
export async function snarkjsContract(zkey: string): Promise<string> {
  const templates = { groth16: readFileSync(join(packageRoot(), TEMPLATE), 'utf8') };
  return zKey.exportSolidityVerifier(zkey, templates as never);
}

/** The arguments of its `verifyProof`. */
export function snarkjsArguments(proven: {
  readonly proof: Uint8Array;
  readonly publicSignals: readonly bigint[];
}): unknown[] {
  const [ax, ay, bx1, bx0, by1, by0, cx, cy] = decodeProof(proven.proof);
  const b = [
    [bx1, bx0],
    [by1, by0],
  ];
  return [[ax, ay], b, [cx, cy], proven.publicSignals];
}
