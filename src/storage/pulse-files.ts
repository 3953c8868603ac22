/** PULSE on a disk: safetensors files as tensors, folders as stores of a chain. What `grail-network/pulse/files` exports. */
export { FolderBlobCache, FolderPulseStore } from './pulse-store.ts';
export { SafetensorsSink, SafetensorsSource } from './safetensors/index.ts';
