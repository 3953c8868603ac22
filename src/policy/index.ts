/** The exact policy: architecture, quantiser, integer forward, sampler and snapshot. */
export {
  type Architecture,
  accumulatorBound,
  architectureSchema,
  type Conv2dLayer,
  type DenseLayer,
  fanIn,
  type HiddenLayer,
  type Layer,
  type LayerShape,
  type LayerTensors,
  layerInputs,
  layerOutputs,
  layerShapes,
  outputGrid,
  type Policy,
  patchIndices,
  positions,
  products,
  trainingValues,
  weightCount,
  weightRows,
  widestValues,
} from './architecture.ts';
export { checkObservations, forward, trace } from './forward.ts';
export { GUMBEL_MAX, GUMBEL_MIN, GUMBEL_TABLE_SHA256, gumbelTable } from './gumbel.ts';
export {
  buildArchitecture,
  buildMlp,
  checkPolicy,
  clampPolicy,
  type LayerExponents,
  layerExponents,
  parseArchitecture,
} from './quantiser.ts';
export {
  noise,
  noiseOfWords,
  packSeeds,
  packSlotSeeds,
  sample,
  sampleBatch,
  sampleSlots,
} from './sampler.ts';
export {
  policyFromTensorBytes,
  policyRoot,
  policyRootOfBytes,
  tensorByteLength,
  tensorBytes,
} from './snapshot.ts';
