import type { ProvenStatement } from '../../src/proofs/batch.ts';
import { digestHex } from '../../src/proofs/opening.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import { type GrailError, revivedError } from '../../src/protocol/errors.ts';
import type { CheckProofs } from '../../src/replica/verdict.ts';
import { fromJob, type ProofsJob, proofsResultSchema, toJob } from '../compute/formats.ts';
import { inParallel } from './in-parallel.ts';
import type { JobClient } from './job-client.ts';

/** Proofs of one job: a batch large enough to be worth it, and small enough that several hands share a window. */
const PROOFS_A_JOB = 64;
const JOBS_AT_ONCE = 64;

/** Checks proofs by jobs. Those of one window share all signals but the first, and only such go together. */
export function distributedProofs(jobs: JobClient): CheckProofs {
  return async (proofs) => {
    const errors = new Array<GrailError | null>(proofs.length).fill(null);
    await inParallel(batches(proofs), JOBS_AT_ONCE, async (batch) => {
      const job: ProofsJob = {
        shared: batch[0]!.statement.publicSignals.slice(1).map(digestHex),
        proofs: batch.map(({ statement }) => ({
          first: digestHex(statement.publicSignals[0]!),
          proof: toHex(statement.proof),
        })),
      };
      const results = fromJob(proofsResultSchema, await jobs.run('proofs', toJob(job)));
      for (const [i, { index }] of batch.entries()) {
        const result = results[i]!;
        errors[index] = result === null ? null : revivedError(result);
      }
    });
    return errors;
  };
}

interface Placed {
  readonly index: number;
  readonly statement: ProvenStatement;
}

function batches(proofs: readonly ProvenStatement[]): Placed[][] {
  const all: Placed[][] = [];
  let shared = '';
  for (const [index, statement] of proofs.entries()) {
    const name = statement.publicSignals.slice(1).join();
    const last = all.at(-1);
    if (last === undefined || name !== shared || last.length === PROOFS_A_JOB)
      all.push([{ index, statement }]);
    else last.push({ index, statement });
    shared = name;
  }
  return all;
}
