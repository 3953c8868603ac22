import type * as Tfjs from '@tensorflow/tfjs';
import { INT8_MAX } from '../../params/constants.ts';
import {
  fanIn,
  layerOutputs,
  type Policy,
  patchIndices,
  positions,
  weightRows,
  widestValues,
} from '../../policy/architecture.ts';
import { gatherPatches, transposed } from '../../policy/matrices.ts';
import { GrailError } from '../../protocol/errors.ts';

/** What a backend of TensorFlow.js allows a program. */
export interface ProgramOptions {
  readonly tf: typeof Tfjs;
  /** As `--backend` names it. */
  readonly name: string;
  /** float32 values that one pass may hold in its widest layer. */
  readonly passValues: number;
  /** Bytes of tensors that may be alive in the whole engine, a pass's own included. */
  readonly memoryLimit: number;
  /** Whether the first convolution's patches are gathered where the policy runs: less to send, slower on a processor. */
  readonly gathersFirst: boolean;
}

interface LoadedLayer {
  /** Which input stands at each place of each patch, `[positions · fanIn]` int32; null where there is nothing to gather. */
  readonly patches: Tfjs.Tensor1D | null;
  readonly fanIn: number;
  readonly positions: number;
  readonly outputs: number;
  /** `[fanIn, rows]` float32. */
  readonly weight: Tfjs.Tensor2D;
  /** `[rows]` float32: bias + 2^(shift−1), the rounding term of the requantisation. */
  readonly bias: Tfjs.Tensor1D;
  /** 2^−shift. */
  readonly scale: Tfjs.Scalar;
}

/** Tensors of a pass that are alive at once, in multiples of its widest layer: patches, products, and what follows them. */
const ALIVE_AT_ONCE = 5;

/**
 * The exact policy as operations of TensorFlow.js. Values are integers in float32; no partial sum reaches 2^24, so every
 * operation here is exact and the order of summation does not matter.
 */
export class Program {
  /** Rows that one pass may have. */
  readonly rowsPerPass: number;
  readonly #options: ProgramOptions;
  readonly #policy: Policy;
  readonly #layers: readonly LoadedLayer[];
  readonly #firstPatches: Uint32Array | null;
  #disposed = false;

  /** @throws GrailError BACKEND_OUT_OF_MEMORY when the weights do not fit */
  constructor(policy: Policy, options: ProgramOptions) {
    this.#options = options;
    this.#policy = policy;
    const { layers } = policy.architecture;
    const { tf, passValues, gathersFirst } = options;
    this.rowsPerPass = Math.max(1, Math.floor(passValues / widestValues(layers)));
    const [first] = layers;
    this.#firstPatches = first?.type === 'conv2d' && !gathersFirst ? patchIndices(first) : null;
    this.#reserve(
      policy.layers.reduce((sum, { weight, bias }) => sum + 4 * (weight.length + bias.length), 0),
    );
    this.#layers = layers.map((layer, index): LoadedLayer => {
      const { weight, bias } = policy.layers[index]!;
      const half = 1 << (layer.shift - 1);
      const [width, rows] = [fanIn(layer), weightRows(layer)];
      const gathers = layer.type === 'conv2d' && (index > 0 || gathersFirst);
      return {
        patches: gathers ? tf.keep(tf.tensor1d(Int32Array.from(patchIndices(layer)), 'int32')) : null,
        fanIn: width,
        positions: positions(layer),
        outputs: layerOutputs(layer),
        weight: tf.keep(tf.tensor2d(transposed(weight, rows, width, 1), [width, rows])),
        bias: tf.keep(tf.tensor1d(Float32Array.from(bias, (value) => value + half))),
        scale: tf.keep(tf.scalar(1 / (1 << layer.shift))),
      };
    });
  }

  /**
   * Logits of `rows` observations, `[rows, actions]` float32: at most rowsPerPass of them. The tensor is the caller's.
   * @throws GrailError BACKEND_OUT_OF_MEMORY before anything is computed
   */
  pass(observations: Int8Array, rows: number): Tfjs.Tensor {
    const { tf } = this.#options;
    const { architecture } = this.#policy;
    this.#reserve(4 * ALIVE_AT_ONCE * rows * widestValues(architecture.layers));
    return tf.tidy(() => {
      let x: Tfjs.Tensor =
        this.#firstPatches === null
          ? tf.tensor2d(new Float32Array(observations), [rows, architecture.observation])
          : tf.tensor2d(gatherPatches(observations, architecture.observation, this.#firstPatches), [
              rows * this.#layers[0]!.positions,
              this.#layers[0]!.fanIn,
            ]);
      for (const [index, layer] of this.#layers.entries()) {
        const { patches, weight, bias, scale } = layer;
        // im2col, never the library's convolution: Winograd's and FFT's algorithms are not exact.
        const columns = patches === null ? x : tf.reshape(tf.gather(x, patches, 1), [-1, layer.fanIn]);
        const scaled = tf.floor(tf.mul(tf.add(tf.matMul(columns, weight), bias), scale));
        const bounded = index < this.#layers.length - 1 ? tf.clipByValue(scaled, 0, INT8_MAX) : scaled;
        x = layer.positions === 1 ? bounded : tf.reshape(bounded, [rows, layer.outputs]);
      }
      return x;
    });
  }

  /** A full heap corrupts silently (TensorFlow.js's wasm), so it is refused before it is full. */
  #reserve(bytes: number): void {
    const { tf, name, memoryLimit } = this.#options;
    const held = tf.memory().numBytes;
    if (held + bytes <= memoryLimit) return;
    throw new GrailError(
      'BACKEND_OUT_OF_MEMORY',
      `the ${name} backend holds ${mib(held)} MiB and needs ${mib(bytes)} more, of ${mib(memoryLimit)} in all: take fewer slots, or --backend simd`,
      { backend: name, bytes, held, limit: memoryLimit },
    );
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const { patches, weight, bias, scale } of this.#layers) {
      this.#options.tf.dispose([weight, bias, scale, ...(patches === null ? [] : [patches])]);
    }
  }
}

const mib = (bytes: number) => Math.ceil(bytes / 2 ** 20);
