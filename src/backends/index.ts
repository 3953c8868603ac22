import { GrailError } from '../protocol/errors.ts';
import type { Backend } from './backend.ts';
import { referenceBackend } from './reference.ts';
import { simdBackend } from './simd/index.ts';

export type { Backend, LoadedPolicy } from './backend.ts';
export { referenceBackend } from './reference.ts';
export { selfTest } from './selftest.ts';
export { simdBackend } from './simd/index.ts';
export {
  checkTrainingWasm,
  TRAINING_WASM_SHA256,
  wasmBinaryPath,
  wasmBinarySha256,
} from './wasm-binary.ts';

/** What `--backend` takes. */
export const BACKEND_NAMES = ['simd', 'reference', 'cpu', 'wasm'] as const;
export type BackendName = (typeof BACKEND_NAMES)[number];

export function isBackendName(name: string): name is BackendName {
  return (BACKEND_NAMES as readonly string[]).includes(name);
}

/**
 * Loads a backend by name. TensorFlow.js itself is loaded only when one of its backends is asked for. Run `selfTest`
 * before mining with it.
 * @throws GrailError BACKEND_UNAVAILABLE when there is no such backend, or it does not start here.
 */
export async function loadBackend(name: BackendName): Promise<Backend> {
  if (name === 'reference') return referenceBackend();
  if (name === 'simd') return simdBackend();
  if (!isBackendName(name)) {
    throw new GrailError('BACKEND_UNAVAILABLE', `there is no backend ${String(name)}`, {
      expected: BACKEND_NAMES.join(', '),
      got: String(name),
    });
  }
  const { tensorflowBackend } = await import('./tensorflow.ts');
  return tensorflowBackend(name);
}
