import { basename, resolve } from 'node:path';
import { z } from 'zod';
import { ceremonyCircuit } from '../proofs/ceremony/circuit.ts';
import { createCeremony } from '../proofs/ceremony/create.ts';
import { exportKey } from '../proofs/ceremony/export.ts';
import { addBeacon, contribute } from '../proofs/ceremony/extend.ts';
import type { CeremonyOptions } from '../proofs/ceremony/snarkjs.ts';
import { verifyCeremony } from '../proofs/ceremony/verify.ts';
import { GrailError } from '../protocol/errors.ts';
import { useNodeSha256 } from '../storage/node-hash.ts';
import { describeCeremony, summary } from './ceremony-report.ts';
import { circuitSpecFlags, readSpec } from './circuit-spec.ts';
import { type CommandIo, defineCommand } from './command.ts';
import { jsonFlag } from './flags.ts';

const ACTIONS = ['new', 'contribute', 'beacon', 'verify', 'export'] as const;
type Action = (typeof ACTIONS)[number];

/** Between lines of progress: snarkjs tells much more. */
const PROGRESS_MS = 2000;

const flagsSchema = z.strictObject({
  ...circuitSpecFlags,
  phase1: z
    .string()
    .min(1)
    .optional()
    .describe('new, verify, export: the phase 1 file (.ptau, prepared for phase 2)'),
  out: z
    .string()
    .min(1)
    .optional()
    .describe('new: the ceremony’s folder; export: the key file (default: DIR/CIRCUIT.json)'),
  name: z.string().min(1).optional().describe('contribute: who you are, in the transcript for all to see'),
  entropy: z
    .string()
    .min(1)
    .optional()
    .describe('contribute: a file whose bytes are mixed into the system’s randomness'),
  value: z
    .string()
    .regex(/^(?:0x)?[0-9a-fA-F]+$/, 'hexadecimal digits')
    .optional()
    .describe('beacon: the public value, 16 to 64 bytes of hex'),
  iterationsExp: z.int().min(10).max(24).default(10).describe('beacon: the value is hashed 2^N times'),
  source: z.string().min(1).max(200).optional().describe('beacon: where anyone finds the value'),
  unfinished: z.boolean().default(false).describe('verify: also accept a ceremony without a contribution'),
  json: jsonFlag,
});

type Flags = z.output<typeof flagsSchema>;

/** The flags of each action; others are refused rather than ignored. */
const FLAGS: Record<Action, readonly (keyof Flags)[]> = {
  new: ['environment', 'architecture', 'steps', 'variant', 'phase1', 'out'],
  contribute: ['name', 'entropy'],
  beacon: ['value', 'iterationsExp', 'source'],
  verify: ['phase1', 'unfinished'],
  export: ['phase1', 'out'],
};

export const command = defineCommand({
  name: 'ceremony',
  summary: 'Makes the keys of a circuit by many hands, and verifies such keys',
  notes: [
    'grail ceremony new --environment CartPole-v1 --phase1 pot15.ptau --out ceremony    begins one',
    'grail ceremony contribute ceremony --name Ada                                     adds your share; pass the folder on',
    'grail ceremony beacon ceremony --value 0x… --source "drand round 4242"            ends it with a public value',
    'grail ceremony verify ceremony --phase1 pot15.ptau                                checks everything from scratch',
    'grail ceremony export ceremony --phase1 pot15.ptau                                verifies, then writes the key file',
    'The key is secure if one contributor is honest. Docs: docs/guides/ceremony.md',
  ].join('\n'),
  positionals: z.strictObject({
    action: z.enum(ACTIONS).describe(ACTIONS.join(', ')),
    directory: z.string().min(1).optional().describe('the ceremony’s folder (new: --out)'),
  }),
  flags: flagsSchema,
  async run({ positionals: { action, directory }, flags, ...io }) {
    useNodeSha256();
    refuseOthers(action, flags);
    const options: CeremonyOptions = { signal: io.signal, onProgress: progress(io) };
    if (action === 'new') {
      if (directory !== undefined) throw usage('new takes its folder as --out');
      await begin(flags, options, io);
    } else {
      await RUN[action](need(directory, 'DIRECTORY'), flags, options, io);
    }
    return 0;
  },
});

type Run = (directory: string, flags: Flags, options: CeremonyOptions, io: CommandIo) => Promise<void>;

async function begin(flags: Flags, options: CeremonyOptions, { out }: CommandIo): Promise<void> {
  const { environment, architecture, steps, variant } = flags;
  const [to, phaseOne] = [need(flags.out, '--out'), need(flags.phase1, '--phase1')];
  const circuit = ceremonyCircuit(await readSpec({ environment, architecture, steps, variant }));
  const transcript = await createCeremony(to, circuit, phaseOne, options);
  const { phase1, circuitHash } = transcript;
  if (flags.json) {
    out(JSON.stringify({ directory: resolve(to), circuit: circuit.name, circuitHash, phase1 }));
    return;
  }
  out(`circuit       ${circuit.name}`);
  out(`circuit hash  ${circuitHash}`);
  out(`phase 1       ${phase1.sha256}, 2^${phase1.power}, ${phase1.contributions} contributions, verified`);
  out(`Now contribute: grail ceremony contribute ${to} --name NAME`);
}

const RUN: Record<Exclude<Action, 'new'>, Run> = {
  async contribute(directory, flags, options, { out }) {
    const { name, entropy } = { name: need(flags.name, '--name'), entropy: flags.entropy ?? null };
    const added = await contribute(directory, { name, entropy }, options);
    if (flags.json) out(JSON.stringify({ ...added, name }));
    else {
      out(`contribution ${added.step} of ${name}: ${added.contributionHash}`);
      out(
        'Publish this hash where others know you, then pass the folder on: it is how you find your share in the key.',
      );
    }
  },
  async beacon(directory, flags, options, { out }) {
    const digits = need(flags.value, '--value').toLowerCase();
    const value = digits.startsWith('0x') ? digits : `0x${digits}`;
    const { iterationsExp } = flags;
    const added = await addBeacon(
      directory,
      { value, iterationsExp, source: need(flags.source, '--source') },
      options,
    );
    if (flags.json) out(JSON.stringify({ ...added, value, iterationsExp }));
    else out(`beacon ${value}, hashed 2^${iterationsExp} times: ${added.contributionHash}`);
  },
  async verify(directory, flags, options, { out }) {
    const phaseOne = need(flags.phase1, '--phase1');
    const verified = await verifyCeremony(directory, { ...options, phaseOne, unfinished: flags.unfinished });
    if (flags.json) out(JSON.stringify(summary(verified)));
    else for (const line of describeCeremony(verified)) out(line);
  },
  async export(directory, flags, options, { out }) {
    const phaseOne = need(flags.phase1, '--phase1');
    const { path, ceremony } = await exportKey(directory, flags.out ?? null, { ...options, phaseOne });
    if (flags.json) out(JSON.stringify({ ...summary(ceremony), keyFile: resolve(path) }));
    else {
      for (const line of describeCeremony(ceremony)) out(line);
      out(`key file           ${path}`);
      out(
        `Publish it with ${basename(ceremony.zkey)}: grail verifier --key takes the one, grail miner --proving-key the other.`,
      );
    }
  },
};

/** A flag or place that this action cannot do without. */
function need(value: string | undefined, label: string): string {
  if (value !== undefined) return value;
  throw usage(`${label} is missing`);
}

/** Flags that have a default do not show whether they were given. */
const DEFAULTED: readonly (keyof Flags)[] = ['variant', 'iterationsExp'];

function refuseOthers(action: Action, flags: Flags): void {
  for (const key of new Set(Object.values(FLAGS).flat())) {
    const given = flags[key] !== undefined && flags[key] !== false && !DEFAULTED.includes(key);
    if (given && !FLAGS[action].includes(key)) throw usage(`ceremony ${action} has no flag --${key}`);
  }
}

function usage(message: string): GrailError {
  return new GrailError('USAGE', `${message} (grail ceremony --help shows what there is)`);
}

/** One line of progress every two seconds at most. */
function progress({ err }: CommandIo): (message: string) => void {
  let lastMs = -Infinity;
  return (message) => {
    const nowMs = performance.now();
    if (nowMs - lastMs < PROGRESS_MS) return;
    lastMs = nowMs;
    err(message);
  };
}
