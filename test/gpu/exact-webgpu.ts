import { selfTest } from '../../src/backends/selftest.ts';
import { webgpuBackend } from '../../src/backends/tfjs/webgpu.ts';
import type { Architecture } from '../../src/policy/architecture.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { randomObservations, randomPolicy } from '../support/policies.ts';

/** What a page found on its WebGPU device. */
export interface WebgpuFinding {
  readonly device: string;
  readonly emulated: boolean;
  /** SHA-256 of the logits of `randomPolicy(architecture, 3)`, one a batch. */
  readonly logits: readonly string[];
}

/** Bytes of logits, little-endian as both browsers and Node have them. */
export function digest(logits: Int32Array): string {
  return toHex(sha256(new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength)));
}

/** Runs the self-test and then some batches on the WebGPU of where this runs. */
export async function exactWebgpu(
  architecture: Architecture,
  batches: readonly number[],
): Promise<WebgpuFinding> {
  const backend = await webgpuBackend();
  try {
    await selfTest(backend, architecture);
    const loaded = backend.load(randomPolicy(architecture, 3));
    const logits: string[] = [];
    for (const batch of batches) {
      logits.push(
        digest(await loaded.logits(randomObservations(batch, architecture.observation, batch), batch)),
      );
    }
    loaded.dispose();
    return { device: backend.device, emulated: backend.emulated, logits };
  } finally {
    backend.dispose();
  }
}
