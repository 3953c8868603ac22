import { concat, fromHex, type Hex, toHex } from '../../protocol/bytes.ts';
import { encodeAnchor } from '../anchor.ts';
import { encodePatch } from '../encode.ts';
import type { HistoryHead, Marks } from '../history.ts';
import type { TensorSource } from '../tensor.ts';
import { type Chunks, ChunkWriter, chunksBytes, chunksHash } from './store.ts';

/** A patch or anchor, ready to be stored. */
export interface Blob {
  readonly chunks: Chunks;
  readonly hash: Hex;
  readonly bytes: number;
  readonly targetId: Hex;
}

/** The patch from a state whose id is known. With `history`, its marks are brought forward. */
export function patchBlob(input: {
  base: TensorSource;
  baseId: Hex;
  target: TensorSource;
  history?: { marks: Marks; head: HistoryHead } | undefined;
  signal?: AbortSignal | undefined;
}): Blob & { head: HistoryHead } {
  const body = new ChunkWriter();
  const { base, baseId, target, history, signal } = input;
  const result = encodePatch({
    base,
    baseId: fromHex(baseId),
    target,
    marks: history?.marks,
    head: history?.head,
    write: (chunk) => body.write(chunk),
    signal,
  });
  return { ...blobOf(result.header, body, result.targetId), head: result.head };
}

export function anchorBlob(target: TensorSource, signal?: AbortSignal): Blob {
  const body = new ChunkWriter();
  const result = encodeAnchor({ target, write: (chunk) => body.write(chunk), signal });
  return blobOf(result.header, body, result.targetId);
}

function blobOf(header: Uint8Array, body: ChunkWriter, targetId: Uint8Array): Blob {
  const [first, ...rest] = body.chunks();
  const chunks = [concat(header, first!), ...rest];
  return { chunks, hash: chunksHash(chunks), bytes: chunksBytes(chunks), targetId: toHex(targetId) };
}
