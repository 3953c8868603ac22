import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { INT8_MAX } from '../params/constants.ts';
import {
  fanIn,
  layerOutputs,
  type Policy,
  patchIndices,
  positions,
  weightRows,
  widestValues,
} from '../policy/architecture.ts';
import { checkObservations } from '../policy/forward.ts';
import { gatherPatches, transposed } from '../policy/matrices.ts';
import { checkPolicy } from '../policy/quantiser.ts';
import { GrailError } from '../protocol/errors.ts';
import type { Backend, LoadedPolicy } from './backend.ts';
import { wasmBinaryPath } from './wasm-binary.ts';

/** The backends of TensorFlow.js that this project runs in Node without anything else installed. */
export type TensorflowName = 'cpu' | 'wasm';

/**
 * float32 values that one pass may hold in its widest layer (4 MiB; a pass holds some five such a layer): a full wasm
 * heap corrupts silently, and larger passes are slower, being out of the processor's caches.
 */
const PASS_VALUES = 1_048_576;

/** Starts run one after another: the engine gives up a start that another overtakes. */
let starts: Promise<unknown> = Promise.resolve();

/**
 * Starts a TensorFlow.js backend and makes it the active one. There is one engine a process: code that shares it with
 * another backend calls `activate` before its first operation.
 * @throws GrailError BACKEND_UNAVAILABLE when it does not start.
 */
export function startTensorflow(name: TensorflowName): Promise<typeof tf> {
  const result = starts.then(() => start(name));
  starts = result.catch(() => {});
  return result;
}

async function start(name: TensorflowName): Promise<typeof tf> {
  // Without it, the cpu backend greets every process with an advertisement.
  tf.enableProdMode();
  if (tf.getBackend() === name) return tf;
  const restore = name === 'wasm' ? await prepareWasm() : () => {};
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
export function activate(name: TensorflowName): void {
  if (tf.getBackend() === name) return;
  // setBackend returns a promise, but switches synchronously to a backend that is already initialised.
  if (tf.engine().registry[name] !== undefined) void tf.setBackend(name);
  if (tf.getBackend() !== name) throw unavailable(name, 'was not started');
}

/**
 * Points TensorFlow.js at the one binary whose hash is pinned, whatever it would choose itself. Returns what undoes the
 * process listeners that the binary's loader installs: they would turn any uncaught error into another exit code.
 */
async function prepareWasm(): Promise<() => void> {
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

function unavailable(name: string, what: string, cause?: unknown): GrailError {
  return new GrailError(
    'BACKEND_UNAVAILABLE',
    `the ${name} backend ${what}: try --backend reference`,
    { backend: name },
    { cause },
  );
}

/**
 * The exact policy on TensorFlow.js. Values are integers in float32; no partial sum reaches 2^24, so every operation
 * here is exact and the order of summation does not matter.
 * @throws GrailError BACKEND_UNAVAILABLE
 */
export async function tensorflowBackend(name: TensorflowName): Promise<Backend> {
  await startTensorflow(name);
  return {
    name,
    load(policy) {
      checkPolicy(policy);
      activate(name);
      return loadPolicy(name, policy);
    },
    // The engine is the whole process's and stays.
    dispose() {},
  };
}

interface LoadedLayer {
  /**
   * Of a convolution behind another layer: which input stands at each place of each patch, `[positions · fanIn]` int32.
   */
  readonly patches: tf.Tensor1D | null;
  readonly fanIn: number;
  readonly positions: number;
  readonly outputs: number;
  /** `[fanIn, rows]` float32. */
  readonly weight: tf.Tensor2D;
  /** `[rows]` float32: bias + 2^(shift−1), the rounding term of the requantisation. */
  readonly bias: tf.Tensor1D;
  /** 2^−shift. */
  readonly scale: tf.Scalar;
}

function loadPolicy(name: TensorflowName, policy: Policy): LoadedPolicy {
  const { architecture } = policy;
  const layers = architecture.layers.map((layer, index): LoadedLayer => {
    const { weight, bias } = policy.layers[index]!;
    const half = 1 << (layer.shift - 1);
    const [width, rows] = [fanIn(layer), weightRows(layer)];
    return {
      patches:
        layer.type === 'dense' || index === 0
          ? null
          : tf.keep(tf.tensor1d(Int32Array.from(patchIndices(layer)), 'int32')),
      fanIn: width,
      positions: positions(layer),
      outputs: layerOutputs(layer),
      weight: tf.keep(tf.tensor2d(transposed(weight, rows, width, 1), [width, rows])),
      bias: tf.keep(tf.tensor1d(Float32Array.from(bias, (value) => value + half))),
      scale: tf.keep(tf.scalar(1 / (1 << layer.shift))),
    };
  });
  const rowsPerPass = Math.max(1, Math.floor(PASS_VALUES / widestValues(architecture.layers)));
  const [first] = architecture.layers;
  const firstPatches = first?.type === 'conv2d' ? patchIndices(first) : null;
  const pass = (observations: Int8Array, rows: number): Int32Array =>
    tf.tidy(() => {
      let x: tf.Tensor = tf.tensor2d(
        firstPatches === null
          ? new Float32Array(observations)
          : gatherPatches(observations, architecture.observation, firstPatches),
        [rows * layers[0]!.positions, layers[0]!.fanIn],
      );
      for (const [index, { patches, fanIn, positions, outputs, weight, bias, scale }] of layers.entries()) {
        // im2col, never the library's convolution: Winograd's and FFT's algorithms are not exact.
        const columns = patches === null ? x : tf.reshape(tf.gather(x, patches, 1), [-1, fanIn]);
        const scaled = tf.floor(tf.mul(tf.add(tf.matMul(columns, weight), bias), scale));
        const bounded = index < layers.length - 1 ? tf.clipByValue(scaled, 0, INT8_MAX) : scaled;
        x = positions === 1 ? bounded : tf.reshape(bounded, [rows, outputs]);
      }
      // The conversion to int32 also makes −0 a 0.
      return new Int32Array(x.dataSync());
    });
  let disposed = false;
  return {
    policy,
    logits(observations, batch) {
      checkObservations(architecture.observation, observations, batch);
      activate(name);
      if (batch <= rowsPerPass) return batch === 0 ? new Int32Array(0) : pass(observations, batch);
      const out = new Int32Array(batch * architecture.actions);
      for (let row = 0; row < batch; row += rowsPerPass) {
        const end = Math.min(row + rowsPerPass, batch);
        const part = observations.subarray(row * architecture.observation, end * architecture.observation);
        out.set(pass(part, end - row), row * architecture.actions);
      }
      return out;
    },
    dispose() {
      if (disposed) return;
      disposed = true;
      activate(name);
      for (const { patches, weight, bias, scale } of layers) {
        tf.dispose([weight, bias, scale, ...(patches === null ? [] : [patches])]);
      }
    },
  };
}
