import { parentPort, workerData } from 'node:worker_threads';
import type { Genesis } from '../../src/params/genesis.ts';
import type { VerificationKey } from '../../src/proofs/verify.ts';
import { codedError } from '../../src/protocol/errors.ts';
import { useNodeCrypto } from '../../src/storage/node-crypto.ts';
import { type Computation, Compute, type Computed } from './compute.ts';

export interface ComputeWorkerData {
  readonly genesis: Genesis;
  readonly verificationKey: VerificationKey;
}

/** What a request is answered with; a thread has one at a time. */
export type ComputeReply =
  | { readonly computed: Computed }
  | { readonly error: { readonly code: string; readonly message: string; readonly details: object } };

useNodeCrypto();
const { genesis, verificationKey } = workerData as ComputeWorkerData;
const port = parentPort!;
const compute = new Compute(genesis, verificationKey);

port.on('message', async (computation: Computation) => {
  try {
    const reply: ComputeReply = { computed: await compute.compute(computation) };
    port.postMessage(reply);
  } catch (error) {
    const reply: ComputeReply = { error: codedError(error).toJSON() };
    port.postMessage(reply);
  }
});
