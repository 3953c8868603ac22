import { readFully } from '../storage/read-fully.ts';
import type { Layout } from '../storage/safetensors/index.ts';
import { StagedFile } from '../storage/staged-file.ts';
import { layoutSection, TAIL_BYTES } from './pulse-file.ts';

const CHUNK_BYTES = 1 << 20;

/** A patch file that is being written: its header is known only when the body is complete, so the body waits in a file. */
export class PatchWriter {
  readonly #body: StagedFile;
  readonly #file: StagedFile;
  #bodyBytes = 0;
  /** Of the whole file, once it is finished. */
  bytes = 0;

  /** @throws GrailError NOT_FOUND, USAGE */
  constructor(path: string) {
    this.#body = new StagedFile(path);
    this.#file = new StagedFile(path);
  }

  /** Appends to the body. */
  write(chunk: Uint8Array): void {
    this.#body.write(chunk);
    this.#bodyBytes += chunk.length;
  }

  /**
   * Header, body and the layout, where it travels, as one file, still under its temporary name.
   * @throws GrailError TOO_LARGE
   */
  finish(header: Uint8Array, layout: Layout | null): void {
    this.#file.write(header);
    const chunk = new Uint8Array(CHUNK_BYTES);
    for (let at = 0; at < this.#bodyBytes; ) {
      const part = chunk.subarray(0, readFully(this.#body.descriptor, chunk, at));
      this.#file.write(part);
      at += part.length;
    }
    this.bytes = header.length + this.#bodyBytes;
    if (layout !== null) {
      const end = this.bytes - TAIL_BYTES;
      const tail = new Uint8Array(TAIL_BYTES);
      readFully(this.#file.descriptor, tail, end);
      const section = layoutSection(layout, tail);
      this.#file.write(section, end);
      this.bytes = end + section.length;
    }
    this.#file.finish();
  }

  commit(): void {
    this.#file.commit();
  }

  close(): void {
    this.#body.close();
    this.#file.close();
  }
}
