import { INT8_MAX } from '../params/constants.ts';
import type { QuantiserParams } from '../params/genesis.ts';
import {
  type Architecture,
  type Layer,
  type LayerTensors,
  weightCount,
  weightRows,
} from '../policy/architecture.ts';
import { layerExponents } from '../policy/quantiser.ts';
import type { NetworkLayout } from './layers.ts';

/**
 * From latents to published integers (docs/PROTOCOL.md, Publication). Latents are in real units, where an integer n of
 * exponent e stands for n / 2^e.
 */

/** How one layer's latents become integers. */
interface LayerScale {
  /** 2^k: integer steps of a weight in one real unit. */
  readonly weight: number;
  /** 2^(a + k): integer steps of a bias in one real unit. */
  readonly bias: number;
  /** 2^(shift + 1): published biases are its multiples, a quarter of an output step, for the sake of sparse patches. */
  readonly biasStep: number;
  /** The largest multiple of biasStep within biasMax. */
  readonly biasLimit: number;
}

function layerScale(layer: Layer, weightBits: number, accumulatorBits: number): LayerScale {
  const biasStep = 1 << (layer.shift + 1);
  return {
    weight: 1 << weightBits,
    bias: (1 << (accumulatorBits - weightBits)) * (1 << weightBits),
    biasStep,
    biasLimit: Math.floor(layer.biasMax / biasStep) * biasStep,
  };
}

export class Publisher {
  readonly #architecture: Architecture;
  readonly #layout: NetworkLayout;
  readonly #hysteresis: number;
  readonly #scales: readonly LayerScale[];

  constructor(architecture: Architecture, quantiser: QuantiserParams, layout: NetworkLayout) {
    const exponents = layerExponents(quantiser);
    this.#architecture = architecture;
    this.#layout = layout;
    this.#hysteresis = quantiser.hysteresis;
    this.#scales = architecture.layers.map((layer, index) =>
      layerScale(layer, exponents[index]!.weight, exponents[index]!.accumulator),
    );
  }

  /** Tensors of the architecture's shapes, zero. */
  allocate(): LayerTensors[] {
    return this.#architecture.layers.map((layer) => ({
      weight: new Int8Array(weightCount(layer)),
      bias: new Int32Array(weightRows(layer)),
    }));
  }

  /**
   * Writes the integers of `latents` to `out`: a weight stays at its published integer p unless |w · 2^k − p| exceeds
   * the hysteresis, then it becomes ⌊w · 2^k + ½⌋; a bias is the nearest multiple of 2^(shift+1), halves upwards.
   * Values end at ±127 and ±biasMax. Publishing twice changes nothing, hence the next update starts where this ended.
   *
   * @param base the policy that the update started from; null publishes every weight by rounding (policy 0)
   */
  publish(latents: Float32Array, base: readonly LayerTensors[] | null, out: readonly LayerTensors[]): void {
    for (const [index, place] of this.#layout.layers.entries()) {
      const scale = this.#scales[index]!;
      const { weight, bias } = out[index]!;
      const published = base?.[index]?.weight;
      for (let i = 0; i < weight.length; i++) {
        const exact = latents[place.weight + i]! * scale.weight;
        const held = published?.[i];
        weight[i] =
          held !== undefined && Math.abs(exact - held) <= this.#hysteresis
            ? held
            : bounded(Math.floor(exact + 0.5), INT8_MAX);
      }
      for (let i = 0; i < bias.length; i++) {
        const exact = latents[place.bias + i]! * scale.bias;
        bias[i] = bounded(Math.floor(exact / scale.biasStep + 0.5) * scale.biasStep, scale.biasLimit);
      }
    }
  }

  /** Clips latents in place to what can be published: |w| ≤ 127 / 2^k, |b| ≤ biasMax / 2^(a+k). */
  clip(latents: Float32Array): void {
    for (const [index, place] of this.#layout.layers.entries()) {
      const scale = this.#scales[index]!;
      const weightLimit = INT8_MAX / scale.weight;
      const biasLimit = scale.biasLimit / scale.bias;
      for (let i = place.weight; i < place.bias; i++) latents[i] = bounded(latents[i]!, weightLimit);
      for (let i = place.bias; i < place.bias + place.rows; i++) latents[i] = bounded(latents[i]!, biasLimit);
    }
  }
}

function bounded(value: number, limit: number): number {
  return Math.min(Math.max(value, -limit), limit);
}
