import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { wasmBinaryPath } from '../wasm-binary.ts';
import { unavailable } from './engine.ts';

/**
 * Points TensorFlow.js at the one binary whose hash is pinned, whatever it would choose itself. Returns what undoes the
 * process listeners that the binary's loader installs: they would turn any uncaught error into another exit code.
 */
export async function prepareWasm(): Promise<() => void> {
  if (!(await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT'))) {
    throw unavailable('wasm', 'needs SIMD, which this runtime lacks');
  }
  tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  const path = wasmBinaryPath();
  setWasmPaths({
    'tfjs-backend-wasm.wasm': path,
    'tfjs-backend-wasm-simd.wasm': path,
    'tfjs-backend-wasm-threaded-simd.wasm': path,
  });
  const events = ['uncaughtException', 'unhandledRejection'] as const;
  const before = events.map((event) => new Set(process.rawListeners(event)));
  return () => {
    for (const [index, event] of events.entries()) {
      for (const listener of process.rawListeners(event)) {
        if (!before[index]!.has(listener)) {
          process.removeListener(event, listener as (...args: unknown[]) => void);
        }
      }
    }
  };
}
