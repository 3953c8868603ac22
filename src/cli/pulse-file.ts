import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { equalBytes } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import type { ByteSource } from '../pulse/index.ts';
import { readFully } from '../storage/read-fully.ts';
import { type Layout, layoutBytes, parseLayout } from '../storage/safetensors/index.ts';

/**
 * A patch in a file: the codec's bytes and, where the files of the new state differ from the base's in more than their tensors'
 * bytes, a section with their layout in front of the codec's last 16 bytes:
 *
 *     … | deflate(layout) | its bytes u32 | version u32 | SHA-256 | the codec's last 16 bytes | 'PULSFILE'
 *
 * The hash is over all parts of the section and the 16 bytes. They stand behind it so that a file that was cut short anywhere is no
 * patch: a file that does not end with the magic is the codec's bytes alone.
 */
const MAGIC = Buffer.from('PULSFILE', 'latin1');
const VERSION = 1;
const HASH_AT = 8;
const TAIL_AT = 40;
export const TAIL_BYTES = 16;
const FOOTER_BYTES = TAIL_AT + TAIL_BYTES + MAGIC.length;
/** Largest layout, before and after compression: headers of 100,000 tensors have some 12 MB. */
export const MAX_LAYOUT_BYTES = 33_554_432;
/** Bytes that are read from a patch at a time. */
const CHUNK_BYTES = 1 << 20;

/**
 * What follows the codec's bytes but the last TAIL_BYTES, `tail`, of which this takes the place.
 * @throws GrailError TOO_LARGE
 */
export function layoutSection(layout: Layout, tail: Uint8Array): Uint8Array {
  const bytes = layoutBytes(layout);
  if (bytes.length > MAX_LAYOUT_BYTES) {
    throw new GrailError(
      'TOO_LARGE',
      `headers of more than ${MAX_LAYOUT_BYTES} bytes do not fit a patch file`,
      {
        got: bytes.length,
      },
    );
  }
  const packed = deflateRawSync(bytes, { level: 9 });
  const lengths = Buffer.alloc(HASH_AT);
  lengths.writeUInt32LE(packed.length, 0);
  lengths.writeUInt32LE(VERSION, 4);
  return Buffer.concat([packed, lengths, checksum(packed, lengths, tail), tail, MAGIC]);
}

function checksum(...parts: readonly Uint8Array[]): Uint8Array {
  const sum = createHash('sha256');
  for (const part of parts) sum.update(part);
  return sum.digest();
}

/** A patch file that is being read. */
export class PatchFile {
  readonly path: string;
  /** Bytes of the file. */
  readonly bytes: number;
  /** Bytes of the codec's patch or anchor in it. */
  readonly patchBytes: number;
  /** The new state's files; null when they are laid out as the base's. */
  readonly layout: Layout | null;
  readonly #descriptor: number;
  /** The codec's last bytes, where a section parts them from the others. */
  readonly #tail: Uint8Array = new Uint8Array(0);

  /** @throws GrailError NOT_FOUND, PATCH_FORMAT */
  constructor(path: string) {
    this.path = path;
    try {
      this.#descriptor = openSync(path, 'r');
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      throw new GrailError('NOT_FOUND', `the patch ${path} cannot be opened (${code})`, { path });
    }
    try {
      const stat = fstatSync(this.#descriptor);
      if (!stat.isFile()) throw damaged('it is no plain file');
      this.bytes = stat.size;
      const section = this.#section();
      this.layout = section?.layout ?? null;
      this.#tail = section?.tail ?? this.#tail;
      this.patchBytes = this.bytes - (section?.bytes ?? 0) + this.#tail.length;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The codec's bytes from the beginning. `stop` is asked as they are read. */
  open(stop: () => void = () => {}): ByteSource {
    const tailAt = this.patchBytes - this.#tail.length;
    let at = 0;
    let chunk: Uint8Array = new Uint8Array(0);
    return {
      take: (max) => {
        if (chunk.length === 0 && at < this.patchBytes) {
          stop();
          chunk = at < tailAt ? this.#read(at, Math.min(CHUNK_BYTES, tailAt - at)) : this.#tail;
          at += chunk.length;
        }
        const part = chunk.subarray(0, max);
        chunk = chunk.subarray(part.length);
        return part;
      },
    };
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #section(): { layout: Layout; tail: Uint8Array; bytes: number } | null {
    if (this.bytes < FOOTER_BYTES) return null;
    const footer = this.#read(this.bytes - FOOTER_BYTES, FOOTER_BYTES);
    if (!equalBytes(footer.subarray(TAIL_AT + TAIL_BYTES), MAGIC)) return null;
    const lengths = footer.subarray(0, HASH_AT);
    const tail = footer.subarray(TAIL_AT, TAIL_AT + TAIL_BYTES);
    const length = lengths.readUInt32LE(0);
    const version = lengths.readUInt32LE(4);
    if (version !== VERSION) throw damaged(`its section has version ${version}`);
    const bytes = length + FOOTER_BYTES;
    if (length > MAX_LAYOUT_BYTES || bytes > this.bytes)
      throw damaged('its section is longer than it may be');
    const packed = this.#read(this.bytes - bytes, length);
    const sum = checksum(packed, lengths, tail);
    if (!equalBytes(sum, footer.subarray(HASH_AT, TAIL_AT))) throw damaged('its section was altered');
    return { layout: parseLayout(inflate(packed)), tail, bytes };
  }

  #read(at: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(length);
    if (readFully(this.#descriptor, bytes, at) < length) throw damaged('it became shorter while it was read');
    return bytes;
  }
}

function inflate(packed: Uint8Array): Uint8Array {
  let inflated: { buffer: Buffer; engine: { bytesWritten: number } };
  try {
    // With `info` zlib gives the engine too, which says how much of the input it took.
    inflated = inflateRawSync(packed, { maxOutputLength: MAX_LAYOUT_BYTES, info: true }) as never;
  } catch {
    throw damaged('its section cannot be inflated');
  }
  if (inflated.engine.bytesWritten !== packed.length) throw damaged('bytes follow its layout');
  return inflated.buffer;
}

/** The error for a file that is no patch any more. */
export function damaged(what: string): GrailError {
  return new GrailError('PATCH_FORMAT', `the patch file is damaged: ${what}; fetch it again`);
}
