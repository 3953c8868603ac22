/**
 * A publisher's log of patches, merged patches and anchors for tensors, and the receivers that follow it, over any
 * transport. Runs in browsers too.
 *
 * @example
 * const publisher = await Publisher.open({ store, signer: identity, chain: 'run-7' });
 * await publisher.publish(step, tensors);
 * const receiver = new Receiver({ reader: store, trust: { publisher: identity.address, chain: 'run-7' } });
 * await receiver.sync(); // receiver.held.state is bit-identical to tensors, or it throws a GrailError
 */
export { CachedReader } from './cached-reader.ts';
export { type Cadence, type CadenceOptions, cadenceSchema } from './cadence.ts';
export { MemoryKeeper, type StateKeeper } from './keeper.ts';
export { checkSeen, MAX_LOG_MANIFESTS, type Seen, verifyLog } from './log.ts';
export {
  MANIFEST_FORMAT,
  MAX_MANIFEST_BLOB_BYTES,
  MAX_MANIFEST_BYTES,
  type Manifest,
  type ManifestSigner,
  manifestDigest,
  manifestSchema,
  signManifest,
  type Trust,
  type UnsignedManifest,
  verifyManifest,
} from './manifest.ts';
export { MemoryPulseStore } from './memory-store.ts';
export type { PrefetchLimits } from './prefetch.ts';
export { type Published, Publisher, type PublisherOptions, type PublishOptions } from './publisher.ts';
export type { HeldState } from './publisher-state.ts';
export { Receiver, type ReceiverOptions, type Synced, type SyncProgress } from './receiver.ts';
export type { ReceivedState, StateBuffer } from './receiver-state.ts';
export {
  type BlobCache,
  type Chunks,
  chunksBytes,
  chunksHash,
  type PulseReader,
  type PulseStore,
} from './store.ts';
