/**
 * Gas of verifying a proof of the demo's network (4-32-32-2, eight steps) in both variants, on a local EVM node: by the
 * contract that `exportVerifier` makes, and by the one that snarkjs exports from the same key. Prints a table.
 *
 *     npm run bench -- gas [--json FILE]
 *
 * `execution` is what the contract takes; `transaction` also counts 21,000 and its calldata; `estimate` is the limit
 * that the node proposes.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { COMPILER, compileSolidity } from '../contracts/compile.ts';
import { exportVerifier } from '../src/chain/export-verifier.ts';
import { loadArtefacts } from '../src/proofs/artefacts.ts';
import { createProver } from '../src/proofs/prove.ts';
import type { CircuitSpec, ProofVariant } from '../src/proofs/types.ts';
import { witnessInput } from '../src/proofs/witness-input.ts';
import { fromHex } from '../src/protocol/bytes.ts';
import { useNodeSha256 } from '../src/storage/node-hash.ts';
import { endSnarkjs } from '../test/helpers/small-ceremony.ts';
import { CARTPOLE, randomPolicy, randomSteps, Seeded } from '../test/helpers/steps.ts';
import { type Anvil, startAnvil } from '../test/support/anvil.ts';
import { deploy, encode } from '../test/support/contract.ts';
import { snarkjsArguments, snarkjsContract } from '../test/support/snarkjs-contract.ts';

interface Row {
  readonly contract: string;
  readonly variant: ProofVariant;
  readonly signals: number;
  readonly execution: number;
  readonly calldata: number;
  readonly transaction: number;
  readonly estimate: number;
  readonly deployment: number;
  readonly bytes: number;
}

const TRANSACTION = 21_000;

/** EIP-2028. */
function calldataGas(data: string): number {
  return fromHex(data).reduce((sum, byte) => sum + (byte === 0 ? 4 : 16), 0);
}

async function measure(
  node: Anvil,
  variant: ProofVariant,
  [contract, source, name, method]: readonly [string, string, string, string],
  values: readonly unknown[],
  signals: number,
): Promise<Row> {
  const compiled = compileSolidity(source).get(name)!;
  const deployed = await deploy(node, compiled);
  const transaction = { to: deployed.address, data: encode(deployed, method, ...values) };
  const estimate = await node.provider.estimateGas(transaction);
  const receipt = await (await node.signer.sendTransaction({ ...transaction, gasLimit: 2_000_000n })).wait();
  const answer = await node.provider.call(transaction);
  if (receipt?.status !== 1 || BigInt(answer) !== 1n) throw new Error(`${contract} refused a valid proof`);
  const calldata = calldataGas(transaction.data);
  const used = Number(receipt.gasUsed);
  return {
    contract,
    variant,
    signals,
    execution: used - calldata - TRANSACTION,
    calldata,
    transaction: used,
    estimate: Number(estimate),
    deployment: Number(await node.provider.estimateGas({ data: compiled.creation })),
    bytes: compiled.runtime.length / 2 - 1,
  };
}

useNodeSha256();
const { values: flags } = parseArgs({ options: { json: { type: 'string' } } });
const node = await startAnvil();
const rows: Row[] = [];
try {
  for (const variant of ['digest', 'folds'] as const) {
    const spec: CircuitSpec = { architecture: CARTPOLE, stepsPerProof: 8, variant };
    const random = new Seeded(1);
    const policy = randomPolicy(CARTPOLE, random);
    const artefacts = await loadArtefacts(spec, {
      onProgress: ({ message, fraction }) => {
        if (fraction === undefined || fraction === 0) process.stderr.write(`${message}\n`);
      },
    });
    const prover = await createProver(artefacts);
    const steps = randomSteps(policy, spec.stepsPerProof, random);
    const proven = await prover.prove(witnessInput({ spec, policy, rho: 7n, context: 5n, steps }));
    await prover.close();
    const signals = proven.publicSignals.length;
    const own = await exportVerifier(artefacts.verificationKey, { insecureDev: true });
    const theirs = await snarkjsContract(artefacts.zkey);
    rows.push(
      await measure(
        node,
        variant,
        ['exported', own, 'SpotCheckVerifier', 'verify'],
        [proven.proof, proven.publicSignals],
        signals,
      ),
      await measure(
        node,
        variant,
        ['snarkjs', theirs, 'Groth16Verifier', 'verifyProof'],
        snarkjsArguments(proven),
        signals,
      ),
    );
  }
} finally {
  await node.stop();
  await endSnarkjs();
}
console.table(rows);
console.log(`${node.version}; solc ${COMPILER}, contracts/settings.json`);
if (flags.json !== undefined) {
  writeFileSync(flags.json, `${JSON.stringify({ node: node.version, compiler: COMPILER, rows }, null, 2)}\n`);
}
