/**
 * PULSE: lossless sparse patches of published weights, and the chain of patches and anchors that brings a receiver to any
 * version. For float models (`encodePatch` …: tensors by name, any size) and for exact policies (`encodePolicyPatch` …).
 * Runs in browsers too.
 *
 * @example
 * const specs = [{ name: 'w', dtype: 'bf16', shape: [2048, 4096] }] as const;
 * const base = new MemoryTensors(specs, [oldBytes]);
 * const body: Uint8Array[] = [];
 * const { header } = encodePatch({
 *   base,
 *   target: new MemoryTensors(specs, [newBytes]),
 *   write: (chunk) => body.push(chunk.slice()),
 * });
 * const sink = new MemoryTensors(specs);
 * applyPatch({ base, patch: byteSource(concat(header, ...body)), sink }); // bit-identical to newBytes, or a GrailError
 */

export { decodeAnchor, encodeAnchor } from './anchor.ts';
export { type AnchorDebt, anchorPays, nextDebt } from './anchor-debt.ts';
export { applyPatch } from './apply.ts';
export * from './chain/index.ts';
export { encodePatch, type PatchResult, type TensorChange } from './encode.ts';
export { type PatchHeader, readHeader } from './format.ts';
export { FRESH, FRESH_MARK, type HistoryHead, type Marks, MemoryMarks } from './history.ts';
export {
  applyPolicyPatch,
  decodePolicyAnchor,
  encodePolicyAnchor,
  encodePolicyPatch,
  mergePolicyPatches,
} from './policy.ts';
export {
  type BlobReference,
  type CatchUpPlan,
  type CatchUpStep,
  catchUp,
  type FetchBlob,
  type PublishedVersion,
  planCatchUp,
  reachVersion,
} from './policy-chain.ts';
export { stateId } from './state-id.ts';
export {
  type ByteSource,
  byteLength,
  byteSource,
  type Dtype,
  elementCount,
  MemoryTensors,
  type TensorSink,
  type TensorSource,
  type TensorSpec,
  totalBytes,
} from './tensor.ts';
export type { Watch } from './walk.ts';
