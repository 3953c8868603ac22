import { type Hex, toHex } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { Identity } from '../../src/protocol/identity.ts';
import type { Blob } from '../../src/pulse/chain/blob.ts';
import {
  type Chunks,
  type Manifest,
  MemoryPulseStore,
  manifestDigest,
  Publisher,
  type PublisherOptions,
  Receiver,
  type ReceiverOptions,
  signManifest,
  type UnsignedManifest,
} from '../../src/pulse/chain/index.ts';
import { byteLength, MemoryTensors, type TensorSource, type TensorSpec } from '../../src/pulse/index.ts';

/** States of a small model and runs that publish them, for tests. */

export const CHAIN = 'test-run';
export const identity = new Identity(new Uint8Array(32).fill(7));
export const stranger = new Identity(new Uint8Array(32).fill(8));
export const trust = { publisher: identity.address, chain: CHAIN };

export const SPECS: readonly TensorSpec[] = [
  { name: 'embedding', dtype: 'bf16', shape: [40, 48] },
  { name: 'empty', dtype: 'bf16', shape: [0, 3] },
  { name: 'norm', dtype: 'f32', shape: [33] },
  { name: 'codes', dtype: 'int8', shape: [9, 7] },
];

type Random = (bound: number) => number;

/** Weights of a bell shape around 0. */
export function randomState(random: Random, specs = SPECS): MemoryTensors {
  return new MemoryTensors(
    specs,
    specs.map((spec) => {
      const bytes = new Uint8Array(byteLength(spec));
      const view = new DataView(bytes.buffer);
      const weight = () => (random(2001) + random(2001) + random(2001) - 3000) / 50_000;
      if (spec.dtype === 'int8') for (let i = 0; i < bytes.length; i++) view.setInt8(i, random(255) - 127);
      if (spec.dtype === 'f32') for (let i = 0; i < bytes.length; i += 4) view.setFloat32(i, weight(), true);
      if (spec.dtype === 'bf16') {
        const scratch = new DataView(new ArrayBuffer(4));
        for (let i = 0; i < bytes.length; i += 2) {
          scratch.setFloat32(0, weight());
          view.setUint16(i, scratch.getUint16(0), true);
        }
      }
      return bytes;
    }),
  );
}

/** A copy in which each bf16 weight has moved by one unit in the last place with probability `perMille`/1000. */
export function trained(state: MemoryTensors, random: Random, perMille = 20): MemoryTensors {
  const next = state.clone();
  for (const [index, { dtype }] of next.specs.entries()) {
    const bytes = next.arrays[index]!;
    const view = new DataView(bytes.buffer);
    const size = dtype === 'bf16' ? 2 : dtype === 'f32' ? 4 : 1;
    for (let at = 0; at < bytes.length; at += size) {
      if (random(1000) >= perMille) continue;
      const move = random(2) === 0 ? 1 : -1;
      if (size === 2) view.setUint16(at, (view.getUint16(at, true) + move) & 0xffff, true);
      else if (size === 4) view.setUint32(at, (view.getUint32(at, true) + move) >>> 0, true);
      else view.setInt8(at, Math.max(-127, Math.min(127, view.getInt8(at) + move)));
    }
  }
  return next;
}

/** SHA-256 of all bytes of a state, to compare. */
export function bitsOf(state: TensorSource): Hex {
  return toHex(sha256(...state.specs.map((_, index) => state.read(index).slice())));
}

/** A memory store in which single calls can be made to fail, and what was read is noted. */
export class FaultyStore extends MemoryPulseStore {
  beforePut: ((hash: Hex) => void | Promise<void>) | null = null;
  beforeAppend: ((manifest: Manifest) => void | Promise<void>) | null = null;
  afterAppend: ((manifest: Manifest) => void | Promise<void>) | null = null;
  beforeGet: ((hash: Hex) => void | Promise<void>) | null = null;
  readonly fetched: Hex[] = [];

  override async putBlob(hash: Hex, chunks: Chunks): Promise<void> {
    await this.beforePut?.(hash);
    await super.putBlob(hash, chunks);
  }

  override async appendManifest(manifest: Manifest): Promise<void> {
    await this.beforeAppend?.(manifest);
    await super.appendManifest(manifest);
    await this.afterAppend?.(manifest);
  }

  override async getBlob(hash: Hex): Promise<Chunks> {
    this.fetched.push(hash);
    await this.beforeGet?.(hash);
    return super.getBlob(hash);
  }

  /** Another store with the same contents. */
  copy(): FaultyStore {
    const store = new FaultyStore();
    for (const [hash, chunks] of this.blobs) store.blobs.set(hash, chunks);
    store.manifests.push(...this.manifests);
    return store;
  }

  /** Changes one blob under its name. */
  damage(hash: Hex, change: (bytes: Uint8Array) => Uint8Array): void {
    const bytes = Uint8Array.from(this.blobs.get(hash)!.flatMap((chunk) => [...chunk]));
    this.blobs.set(hash, [change(bytes)]);
  }

  /** Appends a manifest that the publisher's key signs, whatever it says. */
  async forge(
    blob: Pick<Blob, 'chunks' | 'hash' | 'bytes'>,
    fields: Partial<UnsignedManifest>,
  ): Promise<void> {
    const last = this.manifests.at(-1)!;
    const { signature: _, ...rest } = last;
    this.blobs.set(blob.hash, blob.chunks);
    const unsigned: UnsignedManifest = {
      ...rest,
      sequence: last.sequence + 1,
      previous: manifestDigest(last),
      blob: { hash: blob.hash, bytes: blob.bytes },
      ...fields,
    };
    this.manifests.push(await signManifest(identity, unsigned));
  }
}

export function openPublisher(
  options: Partial<PublisherOptions> & Pick<PublisherOptions, 'store'>,
): Promise<Publisher> {
  return Publisher.open({ signer: identity, chain: CHAIN, ...options });
}

export function receiverOf(options: Partial<ReceiverOptions> & Pick<ReceiverOptions, 'reader'>): Receiver {
  return new Receiver({ trust, ...options });
}

/** Codes of the links that a PATCH_CHAIN_BROKEN says were tried. */
export async function brokenLinks(run: () => unknown): Promise<string[]> {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof GrailError) || error.code !== 'PATCH_CHAIN_BROKEN') throw error;
    return (error.details.failures as readonly { code: string }[]).map(({ code }) => code);
  }
  throw new Error('the chain was not broken');
}
