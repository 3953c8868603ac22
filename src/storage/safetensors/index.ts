/**
 * Safetensors files as tensors of patches: `SafetensorsSource` reads a file or a folder of shards one tensor at a time,
 * `SafetensorsSink` writes one, byte for byte as its layout says.
 */
export { MAX_HEADER_BYTES, parseHeader } from './header.ts';
export { MAX_INDEX_BYTES } from './index-file.ts';
export { INDEX_NAME, type Layout, MAX_SHARDS, placements, sameLayout } from './layout.ts';
export { layoutBytes, parseLayout } from './layout-bytes.ts';
export { plainLayout } from './plain-layout.ts';
export { SafetensorsSink } from './sink.ts';
export { SafetensorsSource } from './source.ts';
