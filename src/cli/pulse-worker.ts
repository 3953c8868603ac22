import { parentPort, workerData } from 'node:worker_threads';
import type { Code } from '../protocol/codes.ts';
import { type Details, GrailError } from '../protocol/errors.ts';
import { diskError } from '../storage/disk-errors.ts';
import { useNodeSha256 } from '../storage/node-hash.ts';
import { type Result, runTask, type Task } from './pulse-task.ts';
import { type PulseProgress, stopOf } from './pulse-work.ts';

export interface PulseWorkerData {
  readonly task: Task;
  /** Becomes 1 with Ctrl-C. */
  readonly stopped: Int32Array;
}

export type PulseReply =
  | { readonly progress: PulseProgress }
  | { readonly result: Result }
  | { readonly error: { readonly code: Code; readonly message: string; readonly details: Details } };

/** Progress is for people. */
const TELL_MS = 200;

useNodeSha256();
const { task, stopped } = workerData as PulseWorkerData;
const reply = (message: PulseReply) => parentPort!.postMessage(message);
let told = performance.now();
try {
  const result = runTask(task, {
    stop: stopOf(stopped),
    tell(progress) {
      if (performance.now() - told < TELL_MS) return;
      told = performance.now();
      reply({ progress });
    },
  });
  reply({ result });
} catch (error) {
  const coded = diskError(error);
  // What has no code is the thread's own error and keeps its stack.
  if (!(coded instanceof GrailError)) throw error;
  reply({ error: coded.toJSON() });
}
