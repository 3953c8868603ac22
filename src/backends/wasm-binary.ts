import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Hex, toHex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { sha256 } from '../protocol/hash.ts';

/**
 * SHA-256 of the TensorFlow.js 4.22 wasm binary (SIMD, one thread) that trains: its floats are part of the protocol, so
 * genesis pins it. Inference needs no pin: it is exact on every backend.
 */
export const TRAINING_WASM_SHA256: Hex = '0x77ebb28a6d34f371dbbf2086b7f2de8994acd8ea5a3cf1fa24d2c26c840cac7b';

let path: string | undefined;
let digest: Hex | undefined;

/**
 * Where the SIMD binary lies that the wasm backend of this process runs.
 * @throws GrailError BACKEND_UNAVAILABLE when it is not installed.
 */
export function wasmBinaryPath(): string {
  try {
    path ??= createRequire(import.meta.url).resolve(
      '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-simd.wasm',
    );
    return path;
  } catch (cause) {
    throw new GrailError(
      'BACKEND_UNAVAILABLE',
      'the wasm backend is not installed: run npm install',
      { backend: 'wasm' },
      { cause },
    );
  }
}

/** SHA-256 of that binary. */
export function wasmBinarySha256(): Hex {
  digest ??= toHex(sha256(readFileSync(wasmBinaryPath())));
  return digest;
}

/**
 * Checks that this machine trains with the binary that genesis pins.
 * @throws GrailError WASM_NOT_PINNED
 */
export function checkTrainingWasm(pinned: string): void {
  const got = wasmBinarySha256();
  if (got !== pinned) {
    throw new GrailError(
      'WASM_NOT_PINNED',
      'the TensorFlow.js wasm binary is not the one of genesis: install the versions of package-lock.json',
      { expected: pinned, got },
    );
  }
}
