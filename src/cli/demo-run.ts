import { join } from 'node:path';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { type LedgerEntry, MAX_ENTRY_BYTES } from '../ledger/entry.ts';
import type { Hex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { serverFrameSchema } from '../protocol/wire.ts';
import { type Child, childFailed, startChild } from './children.ts';
import type { CommandIo } from './command.ts';
import { DEMO_PASSWORD, type DemoNetwork } from './demo-network.ts';
import { tableHead, tableRow, type WindowReport, WindowReports } from './demo-report.ts';
import { inspectKeystore } from './keystore.ts';

/** Windows in which a demo must reach its goal; where a task has none, it runs for as many. */
export const MOST_WINDOWS = 120;
const STOP_MS = 5000;
/** Milliseconds that miners have to stop after Ctrl-C. */
const ABORT_MS = 500;

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
export class DemoRun {
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

  async toTheEnd(options: {
    windows: number | null;
    goal: number | null;
    phaseTimeout: number;
  }): Promise<End> {
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
      // They keep nothing, so after Ctrl-C their windows may stay as they are: a resumed run takes them up.
      for (const child of this.#children.slice(1)) void child.stop(signal.aborted ? ABORT_MS : STOP_MS);
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
    // Demos of one seed have the same keys, and may run at the same time.
    const env = { GRAIL_PASSWORD: DEMO_PASSWORD, GRAIL_RUNTIME: this.#demo.path };
    const child = startChild({ name, args, env, logFile: this.#logFile(name), onOut, onErr });
    this.#children.push(child);
    return child;
  }

  async #startVerifier(options: {
    windows: number | null;
    goal: number | null;
    phaseTimeout: number;
  }): Promise<{ url: string; done: Promise<End> }> {
    const args = ['verifier', '--dir', this.#demo.path, '--port', '0', '--json'];
    args.push('--phase-timeout', String(options.phaseTimeout));
    args.push('--windows', String(options.windows ?? MOST_WINDOWS));
    if (options.windows === null && options.goal !== null) args.push('--goal', String(options.goal));
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
