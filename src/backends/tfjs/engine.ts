import * as tf from '@tensorflow/tfjs';
import { GrailError } from '../../protocol/errors.ts';

/** TensorFlow.js's backends, as its engine names them. */
export type TfjsName = 'cpu' | 'wasm' | 'tensorflow' | 'webgpu';

/** Starts run one after another: the engine gives up a start that another overtakes. */
let starts: Promise<unknown> = Promise.resolve();

/**
 * Starts a TensorFlow.js backend and makes it the active one. There is one engine a thread: code that shares it with
 * another backend calls `activate` before its first operation. `tensorflow` and `webgpu` must be registered before
 * (node-tensorflow.ts, webgpu.ts).
 * @throws GrailError BACKEND_UNAVAILABLE when it does not start.
 */
export function startTfjs(name: TfjsName): Promise<typeof tf> {
  const result = starts.then(() => start(name));
  starts = result.catch(() => {});
  return result;
}

async function start(name: TfjsName): Promise<typeof tf> {
  // Without it, the cpu backend greets every process with an advertisement.
  tf.enableProdMode();
  if (tf.getBackend() === name) return tf;
  // Loaded here alone: browsers take this file, and have no file system.
  const restore = name === 'wasm' ? await (await import('./wasm.ts')).prepareWasm() : () => {};
  try {
    if (!(await tf.setBackend(name))) throw unavailable(name, 'failed to start');
  } catch (cause) {
    throw cause instanceof GrailError ? cause : unavailable(name, 'failed to start', cause);
  } finally {
    restore();
  }
  return tf;
}

/**
 * Makes a started backend the active one, at once.
 * @throws GrailError BACKEND_UNAVAILABLE when it was not started.
 */
export function activate(name: TfjsName): void {
  if (tf.getBackend() === name) return;
  // setBackend returns a promise, but switches synchronously to a backend that is already initialised.
  if (tf.engine().registry[name] !== undefined) void tf.setBackend(name);
  if (tf.getBackend() !== name) throw unavailable(name, 'was not started');
}

export function unavailable(name: string, what: string, cause?: unknown): GrailError {
  return new GrailError(
    'BACKEND_UNAVAILABLE',
    `the ${name} backend ${what}: try --backend simd`,
    { backend: name },
    { cause },
  );
}
