/** A proving process: started by pool.ts, does one job at a time, ends when its parent does. */
import type { Json } from '../protocol/canonical.ts';
import type { Code } from '../protocol/codes.ts';
import { GrailError } from '../protocol/errors.ts';
import { useNodeSha256 } from '../storage/node-hash.ts';
import {
  type CircuitInput,
  createProver,
  type ProofResult,
  type ProofStage,
  type Prover,
  type ProverFiles,
  type ProverOptions,
} from './prove.ts';
import type { VerificationKey } from './verification-key.ts';
import { createVerifier, type ProofVerifier } from './verify.ts';

export interface WorkerSetup {
  readonly type: 'setup';
  readonly files: ProverFiles;
  readonly verificationKey: VerificationKey;
  readonly prover: Pick<ProverOptions, 'threads' | 'engine'>;
}

export type WorkerJob =
  | { readonly type: 'prove'; readonly id: number; readonly input: CircuitInput }
  | {
      readonly type: 'verify';
      readonly id: number;
      readonly publicSignals: readonly bigint[];
      readonly proof: Uint8Array;
    };

export type WorkerMessage = WorkerSetup | { readonly type: 'warm' } | WorkerJob;

export interface WorkerError {
  readonly code: Code;
  readonly message: string;
  readonly details: { readonly [key: string]: Json };
}

export type WorkerReply =
  | { readonly type: 'stage'; readonly id: number; readonly stage: ProofStage }
  | { readonly type: 'done'; readonly id: number; readonly result: ProofResult | null }
  | { readonly type: 'failed'; readonly id: number; readonly error: WorkerError };

// The parent closed the channel or died, SIGKILL included: nobody wants the result. Not process.exit, which was seen to
// wait for ever on a thread of the runtime when it came in the middle of a proof.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
// Ctrl-C reaches the whole process group; the parent decides when its workers end.
process.on('SIGINT', () => {});

useNodeSha256();
let setup: WorkerSetup | undefined;
let prover: Promise<Prover> | undefined;
let verifier: Promise<ProofVerifier> | undefined;

function loadProver(): Promise<Prover> | undefined {
  if (setup) prover ??= createProver(setup.files, setup.prover);
  return prover;
}

async function work(job: WorkerJob): Promise<ProofResult | null> {
  if (setup === undefined) throw new GrailError('INTERNAL', 'the proving process got a job before its setup');
  if (job.type === 'prove') {
    const { id } = job;
    return (await loadProver()!).prove(job.input, (stage) =>
      process.send!({ type: 'stage', id, stage } satisfies WorkerReply),
    );
  }
  verifier ??= createVerifier(setup.verificationKey);
  await (await verifier).verify(job.publicSignals, job.proof);
  return null;
}

process.on('message', async (message: WorkerMessage) => {
  if (message.type === 'setup') {
    setup = message;
    return;
  }
  if (message.type === 'warm') {
    // A failure here comes again, typed, with the first job.
    await loadProver()?.catch(() => {});
    return;
  }
  const { id } = message;
  try {
    process.send!({ type: 'done', id, result: await work(message) } satisfies WorkerReply);
  } catch (error) {
    const typed =
      error instanceof GrailError
        ? error
        : new GrailError('PROVER_FAILED', `the proving process failed: ${String(error)}`);
    process.send!({ type: 'failed', id, error: typed.toJSON() } satisfies WorkerReply);
  }
});
