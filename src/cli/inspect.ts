import { join } from 'node:path';
import { z } from 'zod';
import { loadBackend } from '../backends/index.ts';
import { environmentById } from '../environments/index.ts';
import { type Ledger, openLedgerReadOnly } from '../ledger/log.ts';
import { addressSchema, type Genesis } from '../params/genesis.ts';
import { layerInputs, layerOutputs, type Policy } from '../policy/architecture.ts';
import { forward } from '../policy/forward.ts';
import { noise } from '../policy/sampler.ts';
import { foldPolicy } from '../proofs/fold.ts';
import { type KeySources, loadNetworkKey } from '../proofs/network-key.ts';
import { openChallenges } from '../proofs/opening.ts';
import { circuitSpec } from '../proofs/spec.ts';
import { createVerifier } from '../proofs/verify.ts';
import { publicInputs, publicSignals } from '../proofs/witness-input.ts';
import { fromHex, type Hex } from '../protocol/bytes.ts';
import { describeRejection, GrailError } from '../protocol/errors.ts';
import { minerSeeds } from '../protocol/seeds.ts';
import { byteSource, readHeader } from '../pulse/index.ts';
import { genesisOf } from '../replica/genesis-of.ts';
import { storedPolicies } from '../replica/load-judge.ts';
import { type CommitCheck, checkCommit } from '../replica/replay.ts';
import { NetworkState } from '../replica/state.ts';
import { windowInput } from '../replica/window-input.ts';
import { FolderBlobStore } from '../storage/blobs.ts';
import { useNodeCrypto } from '../storage/node-crypto.ts';
import { defineCommand } from './command.ts';
import { type ExportedProof, exportProofs } from './export-proof.ts';
import { keyFileFlag } from './flags.ts';

const KINDS = ['rollout', 'proof', 'patch', 'policy'] as const;

export const command = defineCommand({
  name: 'inspect',
  summary: 'Shows a rollout, proof, patch or policy of a network',
  notes: [
    'grail inspect rollout DIR --window 3 --miner 0x… --slot 2   each step: observation, logits, noise, action, reward',
    'grail inspect proof DIR --window 3 --miner 0x…              challenged steps, digests, and whether the proof holds',
    'grail inspect proof DIR --window 3 --export OUT             the same, and its files for snarkjs: key, statement, proof',
    'grail inspect patch DIR --version 4                         what version 4 changed, layer by layer',
    'grail inspect policy DIR --version 4                        shapes, roots and weights of a version',
    'Window and version default to the newest, the miner to the first that committed.',
  ].join('\n'),
  positionals: z.strictObject({
    kind: z.enum(KINDS).describe('rollout, proof, patch or policy'),
    directory: z.string().describe('the network’s folder'),
  }),
  flags: z.strictObject({
    window: z.int().min(0).optional().describe('rollout, proof: the window'),
    miner: z
      .string()
      .toLowerCase()
      .pipe(addressSchema)
      .optional()
      .describe('rollout, proof: the miner’s address'),
    slot: z.int().min(0).default(0).describe('rollout: the slot'),
    version: z.int().min(0).optional().describe('patch, policy: the version'),
    export: z.string().min(1).optional().describe('proof: folder for the files with which snarkjs checks it'),
    key: keyFileFlag,
    json: z.boolean().default(false).describe('print one JSON object'),
  }),
  async run({ positionals, flags, out }) {
    useNodeCrypto();
    const ledger = openLedgerReadOnly(join(positionals.directory, 'ledger.sqlite'));
    try {
      const genesis = genesisOf(ledger);
      const blobs = new FolderBlobStore(join(positionals.directory, 'blobs'));
      const keys = {
        ...(flags.key !== undefined && { keyFile: flags.key }),
        keyFolder: join(positionals.directory, 'keys'),
      };
      const network: Network = { ledger, genesis, blobs, keys };
      const view = await INSPECTORS[positionals.kind](network, flags);
      if (flags.json) out(JSON.stringify(view.data));
      else for (const line of view.lines) out(line);
      return 0;
    } finally {
      ledger.close();
    }
  },
});

interface Network {
  readonly ledger: Ledger;
  readonly genesis: Genesis;
  readonly blobs: FolderBlobStore;
  readonly keys: KeySources;
}

interface Selection {
  readonly window?: number | undefined;
  readonly miner?: Hex | undefined;
  readonly slot: number;
  readonly version?: number | undefined;
  readonly export?: string | undefined;
}

interface View {
  readonly data: unknown;
  readonly lines: readonly string[];
}

const INSPECTORS: Record<(typeof KINDS)[number], (network: Network, selection: Selection) => Promise<View>> =
  {
    rollout: inspectRollout,
    proof: inspectProof,
    patch: inspectPatchOf,
    policy: inspectPolicy,
  };

/** The network's state after every entry, or just before a window's verdict. */
function stateBefore({ ledger, genesis }: Network, window?: number): NetworkState {
  const state = new NetworkState(genesis);
  for (const { entry } of ledger.range()) {
    if (window !== undefined && entry.body.type === 'verdict' && entry.window === window) break;
    state.apply(entry, { signatureChecked: true });
  }
  return state;
}

/** A window whose challenges are drawn, with the policy it used and the commitment that is looked at. */
async function challenged(network: Network, { window: wanted, miner: address }: Selection) {
  const number = wanted ?? stateBefore(network).nextVerdict - 1;
  const state = stateBefore(network, number);
  const window = state.window(number);
  if (window === undefined || window.challenge === null) {
    throw new GrailError('NOT_FOUND', `window ${number} has no challenged commitments`, { window: number });
  }
  const input = windowInput(window);
  const commit = input.commits.find(({ miner }) => address === undefined || miner === address);
  if (commit === undefined) {
    throw new GrailError('NOT_FOUND', `no such miner committed in window ${number}`, {
      window: number,
      committed: input.commits.map(({ miner }) => miner),
    });
  }
  const version = input.policyVersion;
  const policies = await storedPolicies(state.versions, network.blobs, network.genesis, {
    first: version,
    last: version,
  });
  const policy = policies.get(version)!;
  const backend = await loadBackend('reference');
  const check = checkCommit(
    {
      genesis: network.genesis,
      genesisHash: state.genesisHash,
      environment: environmentById(network.genesis.environment),
      window: number,
      windowSeed: input.windowSeed,
      loaded: backend.load(policy),
      earlier: [],
    },
    commit,
  );
  return { state, window, input, commit, policy, version, check };
}

function accepted(check: CommitCheck): Extract<CommitCheck, { rejection: null }> {
  if (check.rejection === null) return check;
  throw new GrailError(
    check.rejection.code,
    `the commitment was rejected: ${describeRejection(check.rejection)}`,
    {
      ...check.rejection,
    },
  );
}

async function inspectRollout(network: Network, selection: Selection): Promise<View> {
  const { state, input, commit, policy, version, check } = await challenged(network, selection);
  const { rollouts } = accepted(check);
  const { slot } = selection;
  if (slot >= commit.slots) {
    throw new GrailError('NOT_FOUND', `the miner has slots 0 to ${commit.slots - 1} in this window`, {
      slot,
    });
  }
  const { observation: width, actions } = network.genesis.architecture;
  const seed = minerSeeds(state.genesisHash, input.windowSeed, fromHex(commit.miner)).sample(slot);
  const steps = Array.from({ length: rollouts.steps }, (_, step) => {
    const at = slot * rollouts.steps + step;
    const observation = rollouts.observations.slice(at * width, (at + 1) * width);
    const gumbel = new Int32Array(actions);
    noise(seed, step, actions, gumbel);
    return {
      step,
      observation: [...observation],
      logits: [...forward(policy, observation, 1)],
      noise: [...gumbel],
      action: rollouts.actions[at]!,
      reward: rollouts.rewards[at]!,
      end: rollouts.terminated[at] === 1 ? 'terminated' : rollouts.truncated[at] === 1 ? 'truncated' : '',
    };
  });
  const row = (cells: readonly string[]) =>
    cells.map((cell, i) => cell.padStart([5, 24, 18, 18, 6, 6, 10][i]!)).join('  ');
  return {
    data: { window: input.window, miner: commit.miner, slot, policyVersion: version, steps },
    lines: [
      `window ${input.window}, miner ${commit.miner}, slot ${slot}, policy ${version}`,
      row(['step', 'observation', 'logits/2^10', 'noise/2^10', 'action', 'reward', 'end']),
      ...steps.map((s) =>
        row([
          String(s.step),
          s.observation.join(' '),
          s.logits.map((l) => (l / 1024).toFixed(3)).join(' '),
          s.noise.map((g) => (g / 1024).toFixed(3)).join(' '),
          String(s.action),
          String(s.reward),
          s.end,
        ]),
      ),
    ],
  };
}

async function inspectProof(network: Network, selection: Selection): Promise<View> {
  const { state, window, input, commit, policy, check } = await challenged(network, selection);
  const { rollouts } = accepted(check);
  const { genesis } = network;
  const expected = openChallenges(genesis, state.genesisHash, policy, input, commit.miner, rollouts);
  const spec = circuitSpec(genesis);
  const { verificationKey, verificationKeyHash } = await loadNetworkKey(genesis, network.keys);
  const verifier = await createVerifier(verificationKey);
  const rho = window.fold?.rho ?? null;
  const folds = rho === null ? null : foldPolicy(policy, rho);
  const exported: ExportedProof[] = [];
  const parts = await Promise.all(
    expected.parts.map(async (statement, part) => {
      const { traceDigest } = statement;
      const posted = window.proofs.get(commit.miner)?.[part]?.[0];
      const publics =
        rho === null || folds === null ? null : publicInputs({ spec, rho, folds, ...statement });
      let verdict = 'missing';
      if (posted !== undefined && publics !== null) {
        const proven = { publicSignals: publicSignals(publics), proof: fromHex(posted.message.proof) };
        exported.push({ part, ...proven });
        verdict = await verifier.verify(proven.publicSignals, proven.proof).then(
          () => 'valid',
          (error: GrailError) => error.code,
        );
      }
      return {
        part,
        statementDigest: publics?.statementDigest.toString() ?? null,
        traceDigest: traceDigest.toString(),
        opened: window.openings.get(commit.miner)?.message.traceDigests[part] ?? null,
        entry: posted?.index ?? null,
        verdict,
      };
    }),
  );
  const commands =
    selection.export === undefined ? [] : exportProofs(selection.export, verificationKey, exported);
  const challenges = expected.challenges.map(({ slot, step }, i) => ({
    slot,
    step,
    observation: [...expected.steps[i]!.observation],
    noise: [...expected.steps[i]!.noise],
    action: expected.steps[i]!.action,
  }));
  return {
    data: {
      window: input.window,
      miner: commit.miner,
      verificationKeyHash,
      rho: rho?.toString() ?? null,
      challenges,
      parts,
      commands,
    },
    lines: [
      `window ${input.window}, miner ${commit.miner}`,
      `verification key  ${verificationKeyHash}${genesis.insecureDev ? '  (insecure-dev)' : ''}`,
      `rho               ${rho ?? 'not drawn'}`,
      'challenged steps',
      ...challenges.map(
        ({ slot, step, observation, action }) =>
          `  slot ${slot}, step ${step}: observation ${observation.join(' ')}, action ${action}`,
      ),
      ...parts.flatMap(({ part, statementDigest, traceDigest, entry, verdict }) => [
        `proof ${part}: ${verdict}${entry === null ? '' : ` (entry ${entry})`}`,
        `  statement digest ${statementDigest ?? 'not stated before ρ is drawn'}`,
        `  trace digest     ${traceDigest}`,
      ]),
      ...(commands.length > 0 ? ['to check it with snarkjs alone'] : []),
      ...commands.map((command) => `  ${command}`),
    ],
  };
}

/** The published version that is looked at: the newest unless it is given. */
function published(network: Network, { version }: Selection) {
  const { versions } = stateBefore(network);
  const chosen = versions[version ?? versions.length - 1];
  if (chosen === undefined) {
    throw new GrailError('NOT_FOUND', `versions 0 to ${versions.length - 1} are published`, {
      version: version ?? null,
    });
  }
  return { versions, chosen };
}

async function inspectPatchOf(network: Network, selection: Selection): Promise<View> {
  const { versions, chosen } = published(network, selection);
  const { version, patch } = chosen;
  if (patch === null)
    throw new GrailError('NOT_FOUND', 'version 0 is genesis’s: it has no patch', { version });
  const bytes = await network.blobs.get(patch.hash);
  const policies = await storedPolicies(versions, network.blobs, network.genesis, {
    first: version - 1,
    last: version,
  });
  const layers = network.genesis.architecture.layers.map((_, i) => {
    const [before, after] = [policies.get(version - 1)!.layers[i]!, policies.get(version)!.layers[i]!];
    return {
      layer: i,
      weights: after.weight.length,
      changedWeights: changed(before.weight, after.weight),
      biases: after.bias.length,
      changedBiases: changed(before.bias, after.bias),
    };
  });
  const all = layers.reduce(
    (sum, { changedWeights, changedBiases }) => sum + changedWeights + changedBiases,
    0,
  );
  const { headerBytes } = readHeader(byteSource(bytes));
  return {
    data: { version, hash: patch.hash, bytes: bytes.length, headerBytes, layers },
    lines: [
      `patch to version ${version}: ${bytes.length} bytes, ${headerBytes} of them its header, blob ${patch.hash}`,
      `from ${versions[version - 1]!.policyRoot}`,
      `to   ${chosen.policyRoot}`,
      ...layers.map(
        (l) =>
          `  layer ${l.layer}: ${l.changedWeights} of ${l.weights} weights, ${l.changedBiases} of ${l.biases} biases changed`,
      ),
      all === 0
        ? 'nothing changed'
        : `${((8 * (bytes.length - headerBytes)) / all).toFixed(1)} bits for each of ${all} changes, the header apart`,
    ],
  };
}

function changed(before: ArrayLike<number>, after: ArrayLike<number>): number {
  let count = 0;
  for (let i = 0; i < after.length; i++) if (before[i] !== after[i]) count++;
  return count;
}

async function inspectPolicy(network: Network, selection: Selection): Promise<View> {
  const { versions, chosen } = published(network, selection);
  const { version } = chosen;
  const policies = await storedPolicies(versions, network.blobs, network.genesis, {
    first: version,
    last: version,
  });
  const policy: Policy = policies.get(version)!;
  const layers = policy.architecture.layers.map((layer, i) => {
    const { weight, bias } = policy.layers[i]!;
    return {
      ...layer,
      weights: { least: least(weight), most: most(weight), zeros: weight.filter((w) => w === 0).length },
      biases: { least: least(bias), most: most(bias) },
    };
  });
  return {
    data: { version, policyRoot: chosen.policyRoot, trainerStateRoot: chosen.trainerStateRoot, layers },
    lines: [
      `policy ${version} of ${network.genesis.environment}`,
      `policyRoot        ${chosen.policyRoot}`,
      `trainerStateRoot  ${chosen.trainerStateRoot}`,
      ...layers.map(
        (l, i) =>
          `  layer ${i}: ${l.type} ${layerInputs(l)} → ${layerOutputs(l)}, shift ${l.shift}, weights ${l.weights.least}..${l.weights.most} ` +
          `(${l.weights.zeros} zero), biases ${l.biases.least}..${l.biases.most} (at most ${l.biasMax})`,
      ),
    ],
  };
}

const least = (values: Iterable<number>) => [...values].reduce((a, b) => Math.min(a, b));
const most = (values: Iterable<number>) => [...values].reduce((a, b) => Math.max(a, b));
