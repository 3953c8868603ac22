import { statSync } from 'node:fs';
import { z } from 'zod';
import { exportVerifier } from '../chain/export-verifier.ts';
import { layerInputs, layerOutputs } from '../policy/architecture.ts';
import { type ArtefactProgress, loadArtefacts, writeCommittedKey } from '../proofs/artefacts.ts';
import { generateCircuit } from '../proofs/circuit.ts';
import { type CircuitCost, circuitCost } from '../proofs/cost.ts';
import { checkProvenance, readKeyFile } from '../proofs/key-file.ts';
import type { CircuitSpec } from '../proofs/types.ts';
import { circuitLayout } from '../proofs/widths.ts';
import { GrailError } from '../protocol/errors.ts';
import { useNodeSha256 } from '../storage/node-hash.ts';
import { circuitSpecFlags, readSpec } from './circuit-spec.ts';
import { type CommandIo, defineCommand } from './command.ts';
import { jsonFlag } from './flags.ts';
import { table } from './text.ts';

export const command = defineCommand({
  name: 'circuit',
  summary: 'Builds the circuit of a policy network, or shows what it costs',
  notes: `
grail circuit info --environment cartpole
  constraints by part, widths, public inputs; nothing is compiled.
grail circuit build --architecture network.json --steps 4 --variant digest
  compiles it and makes its development keys (insecure: their secrets are public); keys for a network that is not
  insecure-dev come from a ceremony (grail ceremony). What was built before is taken from the cache.
grail circuit source --environment cartpole > main.circom
  the main file, to be compiled with circuits/ and the folder that holds circomlib on the library path (-l).
grail circuit contract --key circuits/keys/NAME.json > SpotCheckVerifier.sol
  a verifier in Solidity for one key file (docs/guides/contracts.md).`,
  positionals: z.strictObject({
    action: z.enum(['info', 'build', 'source', 'contract']).describe('info, build, source or contract'),
  }),
  flags: z.strictObject({
    ...circuitSpecFlags,
    commitKey: z
      .string()
      .min(1)
      .optional()
      .describe('build: also write the verification key with its provenance to this folder'),
    key: z.string().min(1).optional().describe('contract: the key file'),
    contractName: z.string().min(1).optional().describe('contract: its name (default SpotCheckVerifier)'),
    insecureDev: z.boolean().default(false).describe('contract: take a key whose secrets may be known'),
    json: jsonFlag,
  }),
  async run({ positionals: { action }, flags, ...io }) {
    useNodeSha256();
    if (action === 'contract') {
      const { key, contractName, insecureDev } = flags;
      if (key === undefined) throw new GrailError('USAGE', 'contract needs --key FILE', { flag: '--key' });
      const file = await readKeyFile(key);
      await checkProvenance(file, insecureDev);
      const options = { insecureDev, ...(contractName !== undefined && { name: contractName }) };
      for (const line of (await exportVerifier(file.verificationKey, options)).trimEnd().split('\n'))
        io.out(line);
      return 0;
    }
    const spec = await readSpec(flags);
    if (action === 'source') {
      for (const line of generateCircuit(spec).source.trimEnd().split('\n')) io.out(line);
    } else if (action === 'info') {
      info(spec, flags.json, io);
    } else {
      await build(spec, flags.commitKey, flags.json, io);
    }
    return 0;
  },
});

function info(spec: CircuitSpec, json: boolean, { out }: CommandIo): void {
  const { name } = generateCircuit(spec);
  const cost = circuitCost(spec);
  const layout = circuitLayout(spec);
  if (json) {
    const { stride, folded, equations, compareBits, traceElements, statementElements } = layout;
    const widths = layout.layers.map(({ bound, width, shift }) => ({ bound, width, shift }));
    const counts = { stride, folded, equations, compareBits, traceElements, statementElements };
    out(JSON.stringify({ name, spec, ...cost, layers: widths, ...counts }));
    return;
  }
  out(name);
  out('');
  const { layers } = spec.architecture;
  const rows = layers.map((layer, l) => {
    const { bound, width } = layout.layers[l]!;
    return [layer.type, layerInputs(layer), layerOutputs(layer), layer.shift, layer.biasMax, bound, width];
  });
  const titles = ['layer', 'in', 'out', 'shift', 'biasMax', 'A', 'W (bits)'];
  for (const line of table([titles, ...rows.map((row) => row.map(String))])) out(line);
  out('');
  for (const line of costLines(cost, spec.stepsPerProof)) out(line);
  out('');
  out(
    `a fold equation covers up to ${layout.folded} steps (${layout.equations} in a proof); scores are compared in ${layout.compareBits + 1} bits`,
  );
}

function costLines({ parts, constraints, publics, domainBits }: CircuitCost, steps: number): string[] {
  const names: Record<keyof CircuitCost['parts'], string> = {
    accumulators: 'range checks of accumulators',
    requantisation: 'ReLU and clamp',
    folds: 'fold equations',
    noise: 'range checks of noise',
    argmax: 'argmax',
    traceDigest: 'trace digest',
    statementDigest: 'statement digest',
    foldDigest: 'digest of the fold vectors',
  };
  const share = (count: number) => `${((100 * count) / constraints).toFixed(1)}%`;
  const rows = Object.entries(parts)
    .filter(([, count]) => count > 0)
    .map(([part, count]) => [names[part as keyof typeof names], String(count), share(count)]);
  return [
    ...table([['constraints', '', ''], ...rows, ['all', String(constraints), '']]),
    '',
    `${Math.round(constraints / steps)} a step, ${steps} step${steps === 1 ? '' : 's'} a proof; ${publics} public inputs; domain 2^${domainBits}, filled to ${((100 * (constraints + publics + 1)) / 2 ** domainBits).toFixed(1)}%`,
  ];
}

async function build(
  spec: CircuitSpec,
  commitTo: string | undefined,
  json: boolean,
  { out, err, signal }: CommandIo,
): Promise<void> {
  const started = performance.now();
  const artefacts = await loadArtefacts(spec, { signal, onProgress: progress(err) });
  const committed = commitTo === undefined ? null : await writeCommittedKey(artefacts, commitTo);
  const { name, r1cs, wasm, zkey, verificationKeyHash } = artefacts;
  const { constraints, publics, domainBits } = circuitCost(spec);
  const seconds = (performance.now() - started) / 1000;
  const zkeyBytes = statSync(zkey).size;
  if (json) {
    const files = { r1cs, wasm, zkey, committed };
    const sizes = { constraints, publics, domainBits, zkeyBytes };
    out(JSON.stringify({ name, spec, ...sizes, files, verificationKeyHash, keys: 'insecure-dev', seconds }));
    return;
  }
  out(name);
  const lines = [
    ['constraints', `${constraints}, domain 2^${domainBits}, ${publics} public inputs`],
    ['constraint system', r1cs],
    ['witness generator', wasm],
    ['proving key', `${zkey} (${(zkeyBytes / 1e6).toFixed(1)} MB)`],
    ['verification key', `${verificationKeyHash}  (insecure-dev: anyone can forge proofs for it)`],
    ...(committed === null ? [] : [['written to', committed]]),
  ];
  for (const line of table(lines)) out(line);
}

/** One line a stage, and one for each tenth of it. */
function progress(err: (line: string) => void): (progress: ArtefactProgress) => void {
  let last = '';
  return ({ stage, message, fraction }) => {
    const tenth = fraction === undefined ? '' : ` ${Math.floor(fraction * 10) * 10}%`;
    const line = `${stage === 'compile' && fraction === undefined ? message : message + tenth}`;
    if (line !== last) err(line);
    last = line;
  };
}
