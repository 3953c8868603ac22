import { parentPort, workerData } from 'node:worker_threads';
import { loadBackend, selfTest } from '../src/backends/index.ts';
import { environmentById, evaluate } from '../src/environments/index.ts';
import { type Genesis, genesisHash } from '../src/params/genesis.ts';
import type { Policy } from '../src/policy/architecture.ts';
import { policyRoot } from '../src/policy/snapshot.ts';
import { GrailError } from '../src/protocol/errors.ts';
import { networkHash } from '../src/protocol/hash.ts';
import { Judge, type WindowInput, type WindowWork } from '../src/replica/judge.ts';
import type { JudgeStart } from '../src/replica/load-judge.ts';
import { useNodeSha256 } from '../src/storage/node-hash.ts';
import { createTrainer } from '../src/training/index.ts';

/** A request to the judge's thread. */
export type JudgeRequest =
  | { readonly id: number; readonly type: 'process'; readonly input: WindowInput }
  | { readonly id: number; readonly type: 'evaluate'; readonly policy: Policy; readonly episodes: number };

export type JudgeReply = { readonly id: number; readonly result?: unknown; readonly error?: unknown };

export interface JudgeWorkerData {
  readonly genesis: Genesis;
  readonly start: JudgeStart;
}

useNodeSha256();
const { genesis, start } = workerData as JudgeWorkerData;
const port = parentPort!;

async function prepare(): Promise<Judge> {
  const backend = await loadBackend('simd');
  await selfTest(backend, genesis.architecture);
  return new Judge(genesis, { trainer: await createTrainer(genesis), backend }, start);
}

const ready = prepare();
// A failure is reported with the first request; without this, Node would end the thread before it.
ready.catch(() => {});

function answer(judge: Judge, request: JudgeRequest): WindowWork | number {
  if (request.type === 'process') return judge.process(request.input);
  return evaluate({
    policy: request.policy,
    environment: environmentById(genesis.environment),
    // Episodes of their own for every policy.
    seed: networkHash('evaluation', genesisHash(genesis), policyRoot(request.policy)),
    episodes: request.episodes,
  }).meanReturn;
}

port.on('message', async (request: JudgeRequest) => {
  let reply: JudgeReply;
  try {
    reply = { id: request.id, result: answer(await ready, request) };
  } catch (error) {
    const coded =
      error instanceof GrailError
        ? error.toJSON()
        : { code: 'INTERNAL', message: String((error as Error).stack ?? error), details: {} };
    reply = { id: request.id, error: coded };
  }
  port.postMessage(reply);
});
