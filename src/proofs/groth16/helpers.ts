import { Worker } from 'node:worker_threads';
import { GrailError } from '../../protocol/errors.ts';
import { siblingModule } from '../../storage/fork-module.ts';
import type { HelperSetup } from './helper-thread.ts';
import { type JobList, jobWorkBytes } from './jobs.ts';
import { Kernel } from './kernel.ts';

/** Threads that share a prover's memory. They do not keep the process alive unless they are at work. */
export class Helpers {
  readonly #workers: Worker[];
  #failure: GrailError | undefined;

  constructor(kernel: Kernel, list: JobList, count: number) {
    this.#workers = Array.from({ length: count }, () => {
      const workerData: HelperSetup = {
        memory: kernel.memory,
        constants: kernel.constants,
        scratch: kernel.allocate(Kernel.scratchBytes),
        work: kernel.allocate(jobWorkBytes(kernel, list)),
        list,
      };
      const worker = new Worker(siblingModule(import.meta.url, 'helper-thread'), {
        workerData,
        // Not this process's flags: a test runner's loader is not for the thread.
        execArgv: [],
      });
      worker.unref();
      const fail = (why: string, cause?: unknown) => {
        this.#failure ??= new GrailError('PROVER_FAILED', `a proving thread ended: ${why}`, {}, { cause });
      };
      worker.on('error', (error) => fail(String(error), error));
      worker.once('exit', (code) => fail(`code ${code}`));
      return worker;
    });
  }

  /**
   * Lets the threads work on the list; the promise resolves when they are done.
   * @throws GrailError PROVER_FAILED when one ended
   */
  async work(): Promise<void> {
    await Promise.all(
      this.#workers.map(
        (worker) =>
          new Promise<void>((resolve, reject) => {
            if (this.#failure) return reject(this.#failure);
            const settle = (done: () => void) => () => {
              worker.off('message', answered).off('exit', ended);
              worker.unref();
              done();
            };
            const answered = settle(resolve);
            const ended = settle(() => reject(this.#failure!));
            worker.once('message', answered).once('exit', ended);
            worker.ref();
            worker.postMessage(null);
          }),
      ),
    );
  }

  async close(): Promise<void> {
    this.#failure ??= new GrailError('STOPPED', 'the prover was closed');
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}
