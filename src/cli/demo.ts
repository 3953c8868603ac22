import { join, relative } from 'node:path';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { CHEAT_KINDS } from '../../rollouts/cheats.ts';
import { NetworkDirectory } from '../../verifier/directory.ts';
import { type LedgerEntry, MAX_ENTRY_BYTES } from '../ledger/entry.ts';
import { type ArtefactProgress, loadArtefacts } from '../proofs/artefacts.ts';
import type { Hex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { serverFrameSchema } from '../protocol/wire.ts';
import { useNodeSha256 } from '../storage/node-hash.ts';
import { type Child, childFailed, startChild } from './children.ts';
import type { CommandIo } from './command.ts';
import { defineCommand } from './command.ts';
import { DEMO_DEFAULTS, DEMO_PASSWORD, type DemoNetwork, newRunFolder, openDemo } from './demo-network.ts';
import { tableHead, tableRow, type WindowReport, WindowReports } from './demo-report.ts';
import { inspectKeystore } from './keystore.ts';

/** Mean return at which CartPole counts as solved, and the windows in which a demo must get there. */
const GOAL = 475;
const MOST_WINDOWS = 120;
/** Seconds that a phase waits for a miner: long, but a cheat that says nothing should not hold up a demo. */
const PHASE_TIMEOUT = { honest: 60, cheat: 25 };
const STOP_MS = 5000;

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
  summary: 'Trains CartPole through a network of one verifier and three miners on this machine',
  notes: [
    'Starts the processes on loopback, with development keys (insecure-dev), and shows a line for each window. Without',
    `--windows it ends when the policy's mean return over 100 fresh episodes reaches ${GOAL}.`,
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
    useNodeSha256();
    const started = performance.now();
    const show = flags.json ? err : out;
    const onProgress = progressLines(err);
    const { seed, slots, miners, cheat, keep } = flags;
    const wanted = Object.fromEntries(
      Object.entries({ seed, slots, miners, cheat, ...(keep && { keep }) }).filter(
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
    const run = new DemoRun(demo, genesis.stepsPerSlot, { signal, out: show, err, env });
    const end = await run.toTheEnd({
      windows: flags.windows ?? null,
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
      goalReached: (end.evaluation?.meanReturn ?? 0) >= GOAL,
      seconds: Number(((performance.now() - started) / 1000).toFixed(1)),
    };
    for (const line of summary(result)) show(line);
    if (flags.json) out(JSON.stringify(result));
    if (flags.windows === undefined && !result.goalReached) {
      throw new GrailError(
        'GOAL_NOT_REACHED',
        `the policy did not reach ${GOAL} in ${MOST_WINDOWS} windows`,
        {
          meanReturn: result.meanReturn,
        },
      );
    }
    return 0;
  },
});

const endSchema = z.looseObject({
  event: z.literal('done'),
  genesisHash: z.string(),
  policyVersion: z.int(),
  policyRoot: z.string(),
  trainerStateRoot: z.string(),
  verdicts: z.int(),
  evaluation: z.object({ version: z.int(), meanReturn: z.number() }).nullable(),
});
type End = z.infer<typeof endSchema>;

/** The processes of a demo, and what it has seen of them. */
class DemoRun {
  readonly #demo: DemoNetwork;
  readonly #io: CommandIo;
  readonly #reports: WindowReports;
  readonly #windows: WindowReport[] = [];
  readonly #refused: { readonly miner: Hex | null; readonly code: string }[] = [];
  readonly #names = new Map<string, string>();
  readonly #children: Child[] = [];
  #unshown: WindowReport | null = null;
  #onWindow: () => void = () => {};

  constructor(demo: DemoNetwork, stepsPerSlot: number, io: CommandIo) {
    this.#demo = demo;
    this.#io = io;
    this.#reports = new WindowReports(stepsPerSlot, () => performance.now());
    for (const [i, keystore] of demo.keystores.entries()) {
      const cheat = i >= demo.settings.miners ? ` (${demo.settings.cheat})` : '';
      this.#names.set(inspectKeystore(keystore).address, `miner ${i}${cheat}`);
    }
  }

  async toTheEnd(options: { windows: number | null; phaseTimeout: number }): Promise<End> {
    const { signal } = this.#io;
    let socket: WebSocket | null = null;
    try {
      const { url, done } = await this.#startVerifier(options);
      socket = this.#follow(url);
      for (let i = 0; i < this.#demo.keystores.length; i++) this.#startMiner(i, url);
      const aborted = new Promise<never>((_, reject) => {
        const stop = () =>
          reject(new GrailError('STOPPED', `stopped; go on with: grail demo --dir ${this.#demo.path}`));
        if (signal.aborted) stop();
        signal.addEventListener('abort', stop, { once: true });
      });
      const failed = this.#children.map((child) => this.#endedEarly(child));
      const end = await Promise.race([done, aborted, ...failed]);
      // The event socket may be behind the process that feeds it.
      await Promise.race([this.#seen(end.verdicts), aborted, ...failed]);
      this.#showLast(end.evaluation?.meanReturn ?? null);
      return end;
    } finally {
      socket?.terminate();
      // Miners first: they then do not report a verifier that went away.
      for (const child of this.#children.slice(1)) void child.stop(STOP_MS);
      await Promise.all(this.#children.slice(1).map((child) => child.ended));
      await this.#children[0]?.stop(STOP_MS);
    }
  }

  /** Resolves once that many windows were shown. */
  #seen(windows: number): Promise<void> {
    return new Promise((resolve) => {
      this.#onWindow = () => {
        if (this.#windows.length >= windows) resolve();
      };
      this.#onWindow();
    });
  }

  async #endedEarly(child: Child): Promise<never> {
    const reason = await child.ended;
    throw childFailed(child, reason, this.#logFile(child.name));
  }

  #logFile(name: string): string {
    return join(this.#demo.path, 'logs', `${name.replaceAll(/[^a-z0-9]+/g, '-').replace(/-$/, '')}.log`);
  }

  /** Starts a child whose warnings and errors show here, under its name. */
  #start(name: string, args: string[], onOut: (line: string) => void): Child {
    const onErr = (line: string) => {
      if (line.includes('insecure-dev')) return; // said at the start
      if (/^(warn|error|[A-Z_]+:)|: rejected|refused|cheating/.test(line)) this.#io.err(`[${name}] ${line}`);
    };
    const env = { GRAIL_PASSWORD: DEMO_PASSWORD };
    const child = startChild({ name, args, env, logFile: this.#logFile(name), onOut, onErr });
    this.#children.push(child);
    return child;
  }

  async #startVerifier(options: {
    windows: number | null;
    phaseTimeout: number;
  }): Promise<{ url: string; done: Promise<End> }> {
    const args = ['verifier', '--dir', this.#demo.path, '--port', '0', '--json'];
    args.push('--phase-timeout', String(options.phaseTimeout));
    args.push('--windows', String(options.windows ?? MOST_WINDOWS));
    if (options.windows === null) args.push('--goal', String(GOAL));
    const listening = Promise.withResolvers<string>();
    const done = Promise.withResolvers<End>();
    const child = this.#start('verifier', args, (line) => {
      const event = JSON.parse(line) as { event: string; url?: string };
      if (event.event === 'listening') listening.resolve(event.url!);
      if (event.event === 'done') done.resolve(endSchema.parse(event));
    });
    const url = await Promise.race([listening.promise, this.#endedEarly(child)]);
    return { url, done: done.promise };
  }

  #startMiner(index: number, url: string): void {
    const { settings, keystores } = this.#demo;
    const args = [
      'miner',
      '--verifier',
      url,
      '--keystore',
      keystores[index]!,
      '--slots',
      String(settings.slots),
      '--backend',
      'wasm',
    ];
    if (index >= settings.miners) args.push('--cheat', settings.cheat!);
    this.#start(this.#names.get(inspectKeystore(keystores[index]!).address)!, args, () => {});
  }

  /** Shows the network as its public socket tells it. */
  #follow(url: string): WebSocket {
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/v1/events`, {
      maxPayload: MAX_ENTRY_BYTES + 65_536,
    });
    socket.on('open', () => socket.send(JSON.stringify({ type: 'subscribe', from: 0, entries: 'closers' })));
    socket.on('error', (error) => this.#io.err(`the verifier's event socket failed: ${error.message}`));
    this.#io.out('return: mean over 100 fresh episodes of the policy that the window trained');
    this.#io.out(tableHead());
    socket.on('message', (data) => {
      const frame = serverFrameSchema.parse(JSON.parse(data.toString()));
      if (frame.type === 'entry') this.#entry(frame.entry as unknown as LedgerEntry);
      else if (frame.type === 'refused') this.#refused.push({ miner: frame.miner, code: frame.error.code });
      else if (frame.type === 'evaluation') this.#showLast(frame.meanReturn);
      else if (frame.type === 'synced') this.#showLast(null);
    });
    return socket;
  }

  #entry(entry: LedgerEntry): void {
    const report = this.#reports.add(entry);
    if (report === null) return;
    this.#showLast(null);
    this.#windows.push(report);
    this.#unshown = report;
    this.#onWindow();
  }

  /** Shows the last window, whose evaluation comes right after its verdict. */
  #showLast(meanReturn: number | null): void {
    const report = this.#unshown;
    if (report === null) return;
    this.#unshown = null;
    this.#io.out(tableRow(report, meanReturn));
    for (const { miner, code } of report.rejections)
      this.#io.out(`        rejected ${this.#names.get(miner) ?? miner}: ${code}`);
  }

  totals() {
    const sum = (of: (report: WindowReport) => number) =>
      this.#windows.reduce((total, report) => total + of(report), 0);
    const codes: Record<string, number> = {};
    const rejected = [...this.#windows.flatMap(({ rejections }) => rejections), ...this.#refused];
    for (const { code } of rejected) codes[code] = (codes[code] ?? 0) + 1;
    return {
      rollouts: sum(({ rollouts }) => rollouts),
      steps: sum(({ steps }) => steps),
      proofs: sum(({ proofs }) => proofs),
      /** Verdicts and messages refused at the gate. */
      rejections: rejected.length,
      rejectionCodes: codes,
      patchBytes: sum(({ patchBytes }) => patchBytes),
      fullBytes: sum(({ fullBytes }) => fullBytes),
    };
  }
}

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
