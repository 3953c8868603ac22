import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../deploy/servers/process.ts';
import type { CheatKind } from '../../rollouts/cheats.ts';
import { loadBackend } from '../../src/backends/index.ts';
import { DEMO_PASSWORD } from '../../src/cli/demo-network.ts';
import { createKeystore } from '../../src/cli/keystore.ts';
import type { LedgerEntry } from '../../src/ledger/entry.ts';
import { type Ledger, openLedgerReadOnly } from '../../src/ledger/log.ts';
import { loadVerificationKey } from '../../src/proofs/artefacts.ts';
import { createVerifier } from '../../src/proofs/verify.ts';
import type { Hex } from '../../src/protocol/bytes.ts';
import { Identity } from '../../src/protocol/identity.ts';
import { type AuditReport, audit } from '../../src/replica/audit.ts';
import type { VerdictBody } from '../../src/replica/bodies.ts';
import { genesisOf } from '../../src/replica/genesis-of.ts';
import type { CheckProofs } from '../../src/replica/verdict.ts';
import { type BlobStore, FolderBlobStore } from '../../src/storage/blobs.ts';
import { createTrainer } from '../../src/training/index.ts';
import { makeDevnet } from '../../verifier/devnet.ts';
import { NetworkDirectory } from '../../verifier/directory.ts';
import { GrailProcess } from './grail-process.ts';

/** A development network in a folder of its own, run by real processes. */
export class LiveNetwork {
  readonly directory: string;
  readonly addresses: readonly Hex[];
  #port = 0;

  private constructor(directory: string, addresses: readonly Hex[]) {
    this.directory = directory;
    this.addresses = addresses;
  }

  static async make(options: { seed: number; miners: number }): Promise<LiveNetwork> {
    const directory = mkdtempSync(join(tmpdir(), 'grail-live-'));
    const devnet = await makeDevnet(options);
    const network = new LiveNetwork(
      directory,
      devnet.minerKeys.map((key) => new Identity(key).address),
    );
    for (const [i, key] of devnet.minerKeys.entries()) {
      await createKeystore(network.#keystore(i), DEMO_PASSWORD, 'fast', key);
    }
    await new NetworkDirectory(directory).create(devnet);
    return network;
  }

  #keystore(miner: number): string {
    return join(this.directory, 'miners', `${miner}.json`);
  }

  /** Starts its verifier, at the same address each time, and waits until it listens. */
  async verifier(options: { windows?: number; phaseTimeout?: number } = {}): Promise<GrailProcess> {
    if (this.#port === 0) this.#port = await freePort();
    const args = ['verifier', '--dir', this.directory, '--port', String(this.#port), '--json'];
    if (options.windows !== undefined) args.push('--windows', String(options.windows));
    args.push('--phase-timeout', String(options.phaseTimeout ?? 120));
    const verifier = new GrailProcess(args);
    await verifier.line(/"listening"/);
    return verifier;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Starts a miner with one slot. */
  miner(index: number, cheat?: CheatKind): GrailProcess {
    const args = [
      'miner',
      '--verifier',
      this.url,
      '--keystore',
      this.#keystore(index),
      '--slots',
      '1',
      '--json',
    ];
    if (cheat !== undefined) args.push('--cheat', cheat);
    // Networks of one seed have the same keys, and may run at the same time.
    return new GrailProcess(args, { env: { GRAIL_RUNTIME: this.directory } });
  }

  entries(): LedgerEntry[] {
    return entriesOf(this.directory);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export interface DoneEvent {
  readonly policyVersion: number;
  readonly policyRoot: Hex;
  readonly trainerStateRoot: Hex;
  readonly verdicts: number;
}

/** Waits for the end of a verifier's run, and gives what it says of it. */
export async function runsOut(verifier: GrailProcess): Promise<DoneEvent> {
  return JSON.parse(await verifier.line(/"event":"done"/));
}

/** What two runs of the same network must agree on. */
export function roots({ policyVersion, policyRoot, trainerStateRoot }: DoneEvent) {
  return { policyVersion, policyRoot, trainerStateRoot };
}

/** Every entry of a network's ledger. */
export function entriesOf(directory: string): LedgerEntry[] {
  const ledger = openLedgerReadOnly(join(directory, 'ledger.sqlite'));
  try {
    return [...ledger.range()].map(({ entry }) => entry);
  } finally {
    ledger.close();
  }
}

export function verdictsOf(entries: readonly LedgerEntry[]): VerdictBody[] {
  return entries
    .filter(({ body }) => body.type === 'verdict')
    .map(({ body }) => body as unknown as VerdictBody);
}

let proofs: Promise<CheckProofs> | null = null;

/** Audits a folder in this process. */
export async function auditFolder(directory: string): Promise<AuditReport> {
  const ledger = openLedgerReadOnly(join(directory, 'ledger.sqlite'));
  try {
    return await auditLedger(ledger, new FolderBlobStore(join(directory, 'blobs')));
  } finally {
    ledger.close();
  }
}

/** Audits a ledger and its blobs, with a verifier of proofs that all audits share. */
export async function auditLedger(ledger: Ledger, blobs: BlobStore): Promise<AuditReport> {
  const genesis = genesisOf(ledger);
  const { architecture, stepsPerProof, proof } = genesis;
  proofs ??= loadVerificationKey({ architecture, stepsPerProof, variant: proof.variant })
    .then(({ verificationKey }) => createVerifier(verificationKey))
    .then(({ verifyMany }): CheckProofs => verifyMany);
  const trainer = await createTrainer(genesis);
  try {
    return await audit({
      genesis,
      ledger,
      blobs,
      trainer,
      backend: await loadBackend('wasm'),
      checkProofs: await proofs,
    });
  } finally {
    trainer.dispose();
  }
}

/** A copy of a network's folder, to be altered. */
export function copyOf(directory: string): string {
  const copy = mkdtempSync(join(tmpdir(), 'grail-copy-'));
  cpSync(directory, copy, { recursive: true });
  return copy;
}
