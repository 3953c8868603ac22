import { Worker } from 'node:worker_threads';
import { GrailError } from '../protocol/errors.ts';
import { siblingModule } from '../storage/fork-module.ts';
import type { Result, Task } from './pulse-task.ts';
import type { PulseProgress } from './pulse-work.ts';
import type { PulseReply, PulseWorkerData } from './pulse-worker.ts';

/**
 * Does a task in a thread of its own: the codec does not come back to the event loop before it is done, and Ctrl-C must be
 * heard meanwhile. After an abort the thread removes what it had begun, then this throws STOPPED.
 */
export async function runInThread(
  task: Task,
  signal: AbortSignal,
  onProgress: (progress: PulseProgress) => void,
): Promise<Result> {
  const stopped = new Int32Array(new SharedArrayBuffer(4));
  const stop = () => void Atomics.store(stopped, 0, 1);
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop);
  const workerData: PulseWorkerData = { task, stopped };
  const worker = new Worker(siblingModule(import.meta.url, 'pulse-worker'), {
    workerData,
    // Not this process's flags: a test runner's loader is not for the thread.
    execArgv: [],
  });
  try {
    return await new Promise<Result>((resolve, reject) => {
      worker.on('error', reject);
      worker.on('exit', () => reject(new GrailError('CHILD_FAILED', 'the thread ended before it was done')));
      worker.on('message', (reply: PulseReply) => {
        if ('progress' in reply) onProgress(reply.progress);
        else if ('result' in reply) resolve(reply.result);
        else reject(new GrailError(reply.error.code, reply.error.message, reply.error.details));
      });
    });
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
