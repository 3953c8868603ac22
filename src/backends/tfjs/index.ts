import { checkObservations } from '../../policy/forward.ts';
import { checkPolicy } from '../../policy/quantiser.ts';
import { GrailError } from '../../protocol/errors.ts';
import type { Backend } from '../backend.ts';
import { activate, startTfjs } from './engine.ts';
import { registerNodeTensorflow } from './node-tensorflow.ts';
import { Program } from './program.ts';

/** The backends of TensorFlow.js that answer at once. */
export type SyncTfjsName = 'cpu' | 'wasm' | 'tensorflow';

/**
 * float32 values of a pass on a processor (4 MiB in the widest layer; a pass holds some five such): larger ones are
 * slower, being out of the caches.
 */
const PROCESSOR_PASS_VALUES = 1_048_576;
/** On a GPU: 256 MiB, for a matrix of many thousand rows. */
const GPU_PASS_VALUES = 67_108_864;

/** Of the wasm heap's 4 GiB: what is left is for fragments, and for the copies that an operation makes inside. */
const WASM_MEMORY_LIMIT = 3 * 2 ** 30;

export interface TfjsOptions {
  /** Bytes of tensors that may be alive in the engine. */
  readonly memoryLimit?: number;
}

/**
 * The exact policy on a backend of TensorFlow.js.
 * @throws GrailError BACKEND_UNAVAILABLE when it is not installed or does not start
 */
export async function tfjsBackend(name: SyncTfjsName, options: TfjsOptions = {}): Promise<Backend> {
  const place =
    name === 'tensorflow' ? await registerNodeTensorflow() : { device: 'processor', accelerated: false };
  const tf = await startTfjs(name);
  const memoryLimit = options.memoryLimit ?? (name === 'wasm' ? WASM_MEMORY_LIMIT : Number.POSITIVE_INFINITY);
  return {
    name,
    answers: 'at once',
    device: place.device,
    emulated: false,
    load(policy) {
      checkPolicy(policy);
      activate(name);
      const { observation, actions } = policy.architecture;
      const program = coded(
        name,
        () =>
          new Program(policy, {
            tf,
            name,
            passValues: place.accelerated ? GPU_PASS_VALUES : PROCESSOR_PASS_VALUES,
            memoryLimit,
            gathersFirst: place.accelerated,
          }),
      );
      // The conversion to int32 also makes −0 a 0.
      const pass = (rows: Int8Array, count: number) =>
        coded(name, () => tf.tidy(() => new Int32Array(program.pass(rows, count).dataSync())));
      return {
        policy,
        logits(observations, batch) {
          checkObservations(observation, observations, batch);
          activate(name);
          if (batch === 0) return new Int32Array(0);
          if (batch <= program.rowsPerPass) return pass(observations, batch);
          const out = new Int32Array(batch * actions);
          for (let row = 0; row < batch; row += program.rowsPerPass) {
            const end = Math.min(row + program.rowsPerPass, batch);
            out.set(
              pass(observations.subarray(row * observation, end * observation), end - row),
              row * actions,
            );
          }
          return out;
        },
        dispose() {
          activate(name);
          program.dispose();
        },
      };
    },
    memoryBytes: () => tf.memory().numBytes,
    // The engine is the whole thread's and stays.
    dispose() {},
  };
}

/** Does something, and gives what TensorFlow.js throws a code. */
function coded<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw failure(name, error);
  }
}

/** What libtensorflow says of a device that is out of memory, and of one that is gone. */
function failure(name: string, error: unknown): unknown {
  if (error instanceof GrailError || !(error instanceof Error)) return error;
  const details = { backend: name };
  const { message } = error;
  if (/OOM|out of memory|ResourceExhausted|Failed to allocate/i.test(message)) {
    return new GrailError(
      'BACKEND_OUT_OF_MEMORY',
      `the ${name} backend has no memory left: take fewer slots, or --backend simd`,
      details,
      { cause: error },
    );
  }
  return new GrailError(
    'BACKEND_LOST',
    `the ${name} backend failed (${message}): look at its device, or take --backend simd`,
    details,
    { cause: error },
  );
}
