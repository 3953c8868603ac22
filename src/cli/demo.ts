import { relative } from 'node:path';
import { z } from 'zod';
import { CHEAT_KINDS } from '../../rollouts/cheats.ts';
import { NetworkDirectory } from '../../verifier/directory.ts';
import { recipe } from '../params/recipes.ts';
import { type ArtefactProgress, loadArtefacts } from '../proofs/artefacts.ts';
import { GrailError } from '../protocol/errors.ts';
import { useNodeCrypto } from '../storage/node-crypto.ts';
import { defineCommand } from './command.ts';
import { DEMO_DEFAULTS, newRunFolder, openDemo } from './demo-network.ts';
import { DemoRun, MOST_WINDOWS } from './demo-run.ts';
import { algorithmFlag, environmentFlag } from './flags.ts';

/** Seconds that a phase waits for a miner: long, but a cheat that says nothing should not hold up a demo. */
const PHASE_TIMEOUT = { honest: 60, cheat: 25 };

const numbers = {
  seed: z
    .int()
    .min(0)
    .max(2 ** 40),
  slots: z.int().min(1).max(256),
  miners: z.int().min(1).max(64),
};

export const command = defineCommand({
  name: 'demo',
  summary: 'Trains a policy through a network of one verifier and three miners on this machine',
  notes: [
    'Starts the processes on loopback, with development keys (insecure-dev), and shows a line for each window. Without',
    '--windows it ends when the mean return over 100 fresh episodes reaches the goal of the environment’s recipe (475 on',
    `CartPole), or, where it has none, after ${MOST_WINDOWS} windows.`,
    `Exit codes: 0 done, 1 failed or not at the goal after ${MOST_WINDOWS} windows, 2 wrong usage, 130 after Ctrl-C.`,
  ].join('\n'),
  positionals: z.strictObject({}),
  flags: z.strictObject({
    seed: numbers.seed.optional().describe(`makes everything reproducible (default: ${DEMO_DEFAULTS.seed})`),
    windows: z.int().min(1).max(65_536).optional().describe('run exactly this many windows, goal or not'),
    slots: numbers.slots
      .optional()
      .describe(`rollouts of each miner a window (default: ${DEMO_DEFAULTS.slots})`),
    miners: numbers.miners.optional().describe(`honest miners (default: ${DEMO_DEFAULTS.miners})`),
    dir: z
      .string()
      .min(1)
      .optional()
      .describe('the run’s folder; a run that is there goes on (default: a new .grail/demo/run-N)'),
    keep: z
      .boolean()
      .default(false)
      .describe('never remove this run’s folder; without it .grail/demo keeps the newest five'),
    environment: environmentFlag.optional(),
    algorithm: algorithmFlag.optional(),
    cheat: z.enum(CHEAT_KINDS).optional().describe('add a miner that cheats in this way'),
    phaseTimeout: z
      .number()
      .min(0.5)
      .max(86_400)
      .optional()
      .describe('seconds that a phase waits for a miner'),
    json: z
      .boolean()
      .default(false)
      .describe('the last line of stdout is one JSON object; the table goes to stderr'),
  }),
  async run({ flags, signal, out, err, env }) {
    useNodeCrypto();
    const started = performance.now();
    const show = flags.json ? err : out;
    const onProgress = progressLines(err);
    const { seed, slots, miners, cheat, environment, algorithm, keep } = flags;
    const wanted = Object.fromEntries(
      Object.entries({ seed, slots, miners, cheat, environment, algorithm, ...(keep && { keep }) }).filter(
        ([, value]) => value !== undefined,
      ),
    );
    const path = flags.dir ?? newRunFolder();
    const demo = await openDemo(path, wanted, { onProgress, signal });
    const directory = new NetworkDirectory(demo.path);
    const genesis = directory.genesis();
    // Once, here: the miners then find the proving key in the cache.
    await loadArtefacts(
      {
        architecture: genesis.architecture,
        stepsPerProof: genesis.stepsPerProof,
        variant: genesis.proof.variant,
      },
      { onProgress, signal },
    );
    show(`${demo.resumed ? 'Going on with the' : 'A new'} development network in ${shortPath(demo.path)}`);
    show(
      'insecure-dev: its keys and beacon are for development; anyone can make them, so nothing here is secure.',
    );
    const { goal } = recipe(demo.settings.environment, demo.settings.algorithm);
    const run = new DemoRun(demo, genesis.stepsPerSlot, { signal, out: show, err, env });
    const end = await run.toTheEnd({
      windows: flags.windows ?? null,
      goal,
      phaseTimeout:
        flags.phaseTimeout ?? (demo.settings.cheat === null ? PHASE_TIMEOUT.honest : PHASE_TIMEOUT.cheat),
    });
    const result = {
      network: end.genesisHash,
      insecureDev: true,
      dir: demo.path,
      ...run.totals(),
      policyVersion: end.policyVersion,
      policyRoot: end.policyRoot,
      trainerStateRoot: end.trainerStateRoot,
      windows: end.verdicts,
      meanReturn: end.evaluation?.meanReturn ?? null,
      goalReached: goal === null ? null : (end.evaluation?.meanReturn ?? -Infinity) >= goal,
      seconds: Number(((performance.now() - started) / 1000).toFixed(1)),
    };
    for (const line of summary(result)) show(line);
    if (flags.json) out(JSON.stringify(result));
    if (flags.windows === undefined && result.goalReached === false) {
      throw new GrailError(
        'GOAL_NOT_REACHED',
        `the policy did not reach ${goal} in ${MOST_WINDOWS} windows`,
        {
          meanReturn: result.meanReturn,
        },
      );
    }
    return 0;
  },
});

function summary(result: ReturnType<DemoRun['totals']> & Record<string, unknown>): string[] {
  const codes = Object.entries(result.rejectionCodes).map(([code, count]) => `${code} ${count}`);
  return [
    '',
    `windows        ${result.windows}  (${result.rollouts} rollouts, ${result.steps} steps, ${result.proofs} proofs checked)`,
    `mean return    ${result.meanReturn ?? 'not measured'}  (policy ${result.policyVersion}, 100 fresh episodes, actions sampled as miners do)`,
    `rejections     ${result.rejections}${codes.length > 0 ? `  (${codes.join(', ')})` : ''}`,
    `patches        ${result.patchBytes} bytes against ${result.fullBytes} of full policies`,
    `policyRoot     ${result.policyRoot}`,
    `trainerState   ${result.trainerStateRoot}`,
    `seconds        ${result.seconds}`,
    `check it all   npx grail audit ${shortPath(String(result.dir))}`,
  ];
}

/** A path as a person would type it here. */
function shortPath(path: string): string {
  const short = relative('.', path) || '.';
  return short.startsWith('..') ? path : short;
}

/** One line a stage, and one each tenth of it where that is known. */
function progressLines(err: (line: string) => void): (progress: ArtefactProgress) => void {
  const titles = {
    compile: 'compiling the circuit (about 15 seconds)',
    keys: 'making the development proving key',
    wait: 'waiting',
  };
  let last = '';
  return ({ stage, message, fraction }) => {
    const tenth = fraction === undefined ? '' : ` ${Math.floor(10 * fraction) * 10}%`;
    const line = stage === 'wait' ? message : `${titles[stage]}${tenth}`;
    if (line !== last) err(line);
    last = line;
  };
}
