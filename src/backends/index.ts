import { GrailError } from '../protocol/errors.ts';
import type { AnyBackend, Backend } from './backend.ts';
import { referenceBackend } from './reference.ts';
import { simdBackend } from './simd/index.ts';

export type { AnyBackend, Backend, DeviceBackend, DevicePolicy, LoadedPolicy } from './backend.ts';
export { referenceBackend } from './reference.ts';
export { selfTest } from './selftest.ts';
export { simdBackend } from './simd/index.ts';
export {
  checkTrainingWasm,
  TRAINING_WASM_SHA256,
  wasmBinaryPath,
  wasmBinarySha256,
} from './wasm-binary.ts';

/** Backends that every installation has, and that answer at once. */
export const EMBEDDED_BACKENDS = ['simd', 'reference', 'cpu', 'wasm'] as const;
export type EmbeddedBackend = (typeof EMBEDDED_BACKENDS)[number];

/** What `--backend` takes: `tensorflow` and `webgpu` need packages of their own, and a device. */
export const BACKEND_NAMES = [...EMBEDDED_BACKENDS, 'tensorflow', 'webgpu'] as const;
export type BackendName = (typeof BACKEND_NAMES)[number];

export function isBackendName(name: string): name is BackendName {
  return (BACKEND_NAMES as readonly string[]).includes(name);
}

/**
 * Loads a backend by name. TensorFlow.js itself is loaded only when one of its backends is asked for. Run `selfTest`
 * before mining with it.
 * @throws GrailError BACKEND_UNAVAILABLE when there is no such backend, or it does not start here.
 */
export function loadBackend(name: EmbeddedBackend | 'tensorflow'): Promise<Backend>;
export function loadBackend(name: BackendName): Promise<AnyBackend>;
export async function loadBackend(name: BackendName): Promise<AnyBackend> {
  if (!isBackendName(name)) {
    throw new GrailError(
      'BACKEND_UNAVAILABLE',
      `there is no backend ${String(name)}: take one of ${BACKEND_NAMES.join(', ')}`,
      { expected: BACKEND_NAMES.join(', '), got: String(name) },
    );
  }
  switch (name) {
    case 'reference':
      return referenceBackend();
    case 'simd':
      return simdBackend();
    case 'webgpu': {
      const { webgpuBackend } = await import('./tfjs/webgpu.ts');
      return webgpuBackend();
    }
    default: {
      const { tfjsBackend } = await import('./tfjs/index.ts');
      return tfjsBackend(name);
    }
  }
}
