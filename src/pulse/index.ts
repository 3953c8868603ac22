/**
 * PULSE: lossless sparse deltas of published policies, and the chain of patches and anchors that brings a receiver to
 * any version. Runs in browsers too.
 *
 * @example
 * const patch = encodePatch({ base, target, baseRoot: policyRoot(base), targetRoot: policyRoot(target) });
 * const next = applyPatch(base, policyRoot(base), patch); // bit-identical to target, or a GrailError
 */
export { decodeAnchor, encodeAnchor } from './anchor.ts';
export {
  type BlobReference,
  type CatchUpPlan,
  type CatchUpStep,
  catchUp,
  type FetchBlob,
  type PublishedVersion,
  planCatchUp,
  reachVersion,
} from './chain.ts';
export { applyPatch, encodePatch, inspectPatch, mergePatches, type PatchSummary } from './patch.ts';
