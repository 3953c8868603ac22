import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { packageRoot } from '../../src/storage/package-root.ts';
import type { Devnet } from '../../verifier/devnet.ts';
import { NetworkDirectory } from '../../verifier/directory.ts';
import type { Usage, UsageRequest } from './probe.ts';

const PROBE = fileURLToPath(new URL('./probe.ts', import.meta.url));

/** Lines of its log that are kept for a failure's message. */
const KEPT_LINES = 20;

export interface VerifierOptions {
  readonly devnet: Devnet;
  readonly windows: number;
  /** Seconds a phase waits for a miner. */
  readonly phaseTimeout: number;
  /** Folder for the profile that it writes when it ends; null for none. */
  readonly profile: string | null;
}

/** A `grail verifier` in a process and a folder of its own, as an operator starts it. */
export class VerifierProcess {
  readonly url: URL;
  /** The network's ledger. */
  readonly ledgerPath: string;
  readonly #directory: NetworkDirectory;
  readonly #child: ChildProcess;

  private constructor(directory: NetworkDirectory, child: ChildProcess, url: URL) {
    this.#directory = directory;
    this.ledgerPath = directory.ledgerPath;
    this.#child = child;
    this.url = url;
  }

  /** Starts one and waits until it listens. @throws Error with the end of its log when it does not */
  static async start(options: VerifierOptions): Promise<VerifierProcess> {
    const { devnet, windows, phaseTimeout, profile } = options;
    const directory = new NetworkDirectory(mkdtempSync(join(tmpdir(), 'grail-bench-network-')));
    await directory.create(devnet);
    const flags = ['--expose-gc', '--import', PROBE];
    if (profile !== null) flags.push('--cpu-prof', '--cpu-prof-dir', profile);
    const main = join(packageRoot(), 'src', 'cli', 'main.ts');
    const args = ['verifier', '--dir', directory.path, '--port', '0', '--json'];
    args.push('--windows', String(windows), '--phase-timeout', String(phaseTimeout));
    const child = spawn(process.execPath, [...flags, main, ...args], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const log: string[] = [];
    createInterface({ input: child.stderr! }).on('line', (line) => {
      log.push(line);
      if (log.length > KEPT_LINES) log.shift();
    });
    for await (const line of createInterface({ input: child.stdout! })) {
      const { event, url } = JSON.parse(line) as { event: string; url: string };
      if (event !== 'listening') continue;
      child.stdout!.resume();
      return new VerifierProcess(directory, child, new URL(url));
    }
    throw new Error(`the verifier ended before it listened:\n${log.join('\n')}`);
  }

  /** What it has used so far, garbage collected before when asked to. */
  async usage({ collect = false } = {}): Promise<Usage> {
    const request: UsageRequest = { usage: { collect } };
    this.#child.send(request);
    const [answer] = (await once(this.#child, 'message')) as [{ readonly usage: Usage }];
    return answer.usage;
  }

  /** Ends it and removes its folder. */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      await ended;
    }
    rmSync(this.#directory.path, { recursive: true, force: true });
  }
}
