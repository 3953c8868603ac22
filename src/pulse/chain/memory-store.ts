import type { Hex } from '../../protocol/bytes.ts';
import { GrailError } from '../../protocol/errors.ts';
import type { Manifest } from './manifest.ts';
import type { Chunks, PulseStore } from './store.ts';

/** A store in memory: for tests, and for publisher and receivers of one process. */
export class MemoryPulseStore implements PulseStore {
  readonly blobs = new Map<Hex, Chunks>();
  readonly manifests: Manifest[] = [];

  async listManifests(from: number): Promise<readonly unknown[]> {
    return this.manifests.filter(({ sequence }) => sequence >= from);
  }

  async getBlob(hash: Hex): Promise<Chunks> {
    const chunks = this.blobs.get(hash);
    if (chunks !== undefined) return chunks;
    throw new GrailError('BLOB_MISSING', 'the blob is not in the store: ask another relay', { hash });
  }

  async putBlob(hash: Hex, chunks: Chunks): Promise<void> {
    this.blobs.set(
      hash,
      chunks.map((chunk) => chunk.slice()),
    );
  }

  async appendManifest(manifest: Manifest): Promise<void> {
    const last = this.manifests.at(-1);
    if (last !== undefined && manifest.sequence !== last.sequence + 1) {
      throw new GrailError('ALREADY_RUNNING', 'the log has gone on: another publisher writes it', {
        expected: last.sequence + 1,
        got: manifest.sequence,
      });
    }
    this.manifests.push(manifest);
  }

  async dropManifests(before: number): Promise<void> {
    while (this.manifests.length > 0 && this.manifests[0]!.sequence < before) this.manifests.shift();
  }

  async listBlobs(): Promise<readonly Hex[]> {
    return [...this.blobs.keys()];
  }

  async deleteBlob(hash: Hex): Promise<void> {
    this.blobs.delete(hash);
  }
}
