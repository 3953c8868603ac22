/** A thread that helps with one prover's sums. Started by helpers.ts; answers every message with one. */
import { parentPort, workerData } from 'node:worker_threads';
import { type JobList, workOff } from './jobs.ts';
import { Kernel, type KernelConstants } from './kernel.ts';

export interface HelperSetup {
  readonly memory: WebAssembly.Memory;
  readonly constants: KernelConstants;
  /** Addresses of this thread's own. */
  readonly scratch: number;
  readonly work: number;
  readonly list: JobList;
}

const { memory, constants, scratch, work, list } = workerData as HelperSetup;
const kernel = await Kernel.join(memory, constants, scratch);
parentPort!.on('message', () => {
  workOff(kernel, list, work);
  parentPort!.postMessage(null);
});
