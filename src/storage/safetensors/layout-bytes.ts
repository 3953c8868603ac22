import { MAX_HEADER_BYTES, parseHeader } from './header.ts';
import { checkShardName, MAX_INDEX_BYTES } from './index-file.ts';
import { INDEX_NAME, type Layout, MAX_SHARDS } from './layout.ts';
import { unsound } from './refuse.ts';

const WHERE = 'the layout in the patch';
const NO_INDEX = 0xffff_ffff;

/**
 * A layout as bytes: folder (u8), files (u32), of each its name (u32 length, ASCII) and header (u32 length, bytes), then
 * the index (u32 length or 2^32 - 1 for none, bytes). Numbers are little-endian.
 */
export function layoutBytes({ folder, files, index }: Layout): Uint8Array {
  const block = (bytes: Uint8Array) => [number(bytes.length), bytes];
  return Buffer.concat([
    Uint8Array.of(folder ? 1 : 0),
    number(files.length),
    ...files.flatMap(({ name, header }) => [...block(Buffer.from(name)), ...block(header.bytes)]),
    ...(index === null ? [number(NO_INDEX)] : block(index)),
  ]);
}

function number(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** @throws GrailError TENSORS_INVALID for bytes that `layoutBytes` does not give */
export function parseLayout(bytes: Uint8Array): Layout {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const take = (length: number, max: number) => {
    if (length > max || at + length > view.length) throw unsound(WHERE, 'a length is wrong');
    at += length;
    return view.subarray(at - length, at);
  };
  const count = () => take(4, 4).readUInt32LE();

  const [kind] = take(1, 1);
  const shards = count();
  const folder = kind === 1;
  if (kind! > 1 || shards < 1 || shards > (folder ? MAX_SHARDS : 1))
    throw unsound(WHERE, 'its kind is wrong');
  const files = Array.from({ length: shards }, () => {
    const name = take(count(), folder ? 256 : 0).toString('latin1');
    if (folder) checkShardName(name, WHERE);
    return { name, header: parseHeader(take(count(), MAX_HEADER_BYTES), name || WHERE) };
  });
  if (files.some(({ name }, i) => i > 0 && files[i - 1]!.name >= name))
    throw unsound(WHERE, 'its files are unordered');
  const indexLength = count();
  const index = indexLength === NO_INDEX ? null : take(indexLength, MAX_INDEX_BYTES);
  if (index !== null && !folder) throw unsound(WHERE, `a single file has no ${INDEX_NAME}`);
  if (at !== view.length) throw unsound(WHERE, 'bytes follow it');
  return { folder, files, index };
}
