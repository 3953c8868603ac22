import { closeSync, fstatSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { GrailError } from '../../protocol/errors.ts';
import { readFully } from '../read-fully.ts';
import { type Header, MAX_HEADER_BYTES, PREFIX_BYTES, parseHeader } from './header.ts';
import { checkShardName, MAX_INDEX_BYTES, parseIndex } from './index-file.ts';
import { INDEX_NAME, type Layout, MAX_SHARDS } from './layout.ts';
import { unsound } from './refuse.ts';

/** The open files of a state. */
export interface OpenLayout {
  readonly layout: Layout;
  /** One a file of the layout. */
  readonly descriptors: readonly number[];
}

/**
 * Opens a .safetensors file, or a folder of them: those that INDEX_NAME lists, without it all.
 * @throws GrailError NOT_FOUND, TENSORS_INVALID
 */
export function openLayout(path: string): OpenLayout {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new GrailError('NOT_FOUND', `there is no file or folder ${path}`, { path });
  const folder = found.isDirectory();
  const index = folder ? readIndex(path) : null;
  const map = index === null ? null : parseIndex(index, join(path, INDEX_NAME));
  const names = folder ? shardNames(path, map) : [''];
  const descriptors: number[] = [];
  try {
    const files = names.map((name) => {
      const file = folder ? join(path, name) : path;
      const descriptor = openFile(file);
      descriptors.push(descriptor);
      return { name, header: readHeader(descriptor, file) };
    });
    if (map !== null) checkIndex(map, files, join(path, INDEX_NAME));
    return { layout: { folder, files, index }, descriptors };
  } catch (error) {
    for (const descriptor of descriptors) closeSync(descriptor);
    throw error;
  }
}

function openFile(file: string): number {
  try {
    return openSync(file, 'r');
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    throw new GrailError('NOT_FOUND', `${file} cannot be opened (${code})`, { file });
  }
}

function readIndex(folder: string): Uint8Array | null {
  const file = join(folder, INDEX_NAME);
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined) return null;
  if (found.size > MAX_INDEX_BYTES) throw unsound(file, `it is longer than ${MAX_INDEX_BYTES} bytes`);
  return readFileSync(file);
}

function shardNames(folder: string, map: ReadonlyMap<string, string> | null): string[] {
  const names =
    map === null
      ? readdirSync(folder).filter((name) => name.endsWith('.safetensors') && !name.startsWith('.'))
      : [...new Set(map.values())];
  if (names.length === 0) throw unsound(folder, 'it has no .safetensors files');
  if (names.length > MAX_SHARDS) throw unsound(folder, `it has more than ${MAX_SHARDS} files`);
  for (const name of names) checkShardName(name, folder);
  return names.sort();
}

function checkIndex(map: ReadonlyMap<string, string>, files: Layout['files'], index: string): void {
  const held = new Map(
    files.flatMap(({ name, header }) => header.entries.map(({ spec }) => [spec.name, name] as const)),
  );
  for (const [tensor, file] of map) {
    if (held.get(tensor) !== file) throw unsound(index, `tensor ${tensor} is not in ${file}`);
  }
}

function readHeader(descriptor: number, file: string): Header {
  const name = basename(file);
  const stat = fstatSync(descriptor);
  if (!stat.isFile()) throw unsound(name, 'it is no plain file');
  const prefix = Buffer.alloc(PREFIX_BYTES);
  if (readFully(descriptor, prefix, 0) < PREFIX_BYTES) throw unsound(name, 'it ends before its header');
  const length = Number(prefix.readBigUInt64LE());
  if (length > MAX_HEADER_BYTES) {
    throw unsound(name, `its header is longer than ${MAX_HEADER_BYTES} bytes`, { got: length });
  }
  const bytes = Buffer.alloc(Math.min(length, Math.max(0, stat.size - PREFIX_BYTES)));
  if (readFully(descriptor, bytes, PREFIX_BYTES) < length) throw unsound(name, 'it ends within its header');
  const header = parseHeader(bytes, name);
  const expected = PREFIX_BYTES + length + header.dataBytes;
  if (stat.size !== expected) {
    const what = stat.size < expected ? 'a tensor lies beyond its end' : 'bytes follow the last tensor';
    throw unsound(name, what, { expected, got: stat.size });
  }
  return header;
}
