import { z } from 'zod';
import { MAX_NAME_BYTES, MAX_RANK, MAX_TENSORS } from '../../pulse/format.ts';
import type { TensorSpec } from '../../pulse/index.ts';
import { carriedShape, FILE_DTYPE_NAMES, fileDtype } from './dtypes.ts';
import { countPairs, writtenPairs } from './pairs.ts';
import { unsound } from './refuse.ts';

/** Largest header: the format's own bound. */
export const MAX_HEADER_BYTES = 100_000_000;
/** Bytes in front of the header that say how long it is. */
export const PREFIX_BYTES = 8;

/** A tensor of a file: how patches carry it, and where its bytes lie behind the header. */
export interface HeaderEntry {
  readonly spec: TensorSpec;
  readonly begin: number;
  readonly end: number;
}

export interface Header {
  /** As they stand in the file, padding included, without the length in front. */
  readonly bytes: Uint8Array;
  /** In the order of their bytes in the file. */
  readonly entries: readonly HeaderEntry[];
  /** Bytes of all tensors. */
  readonly dataBytes: number;
}

const size = z.int().min(0);
const entrySchema = z.strictObject({
  dtype: z.string(),
  shape: z.array(size).max(MAX_RANK),
  data_offsets: z.tuple([size, size]),
});
const metadataSchema = z.record(z.string(), z.string());

/**
 * Reads a safetensors header (https://github.com/huggingface/safetensors, Format), more strictly than its reference does: no
 * name may be given twice.
 * @param file its name, for errors
 * @throws GrailError TENSORS_INVALID
 */
export function parseHeader(bytes: Uint8Array, file: string): Header {
  if (bytes.length > MAX_HEADER_BYTES) {
    throw unsound(file, `its header is longer than ${MAX_HEADER_BYTES} bytes`, { got: bytes.length });
  }
  const { text, parsed } = parseObject(bytes, file);
  const { __metadata__: metadata, ...tensors } = parsed;
  if (metadata !== undefined && !metadataSchema.safeParse(metadata).success) {
    throw unsound(file, '__metadata__ does not map text to text');
  }
  const named = Object.entries(tensors);
  if (named.length > MAX_TENSORS) {
    throw unsound(file, `it has more than ${MAX_TENSORS} tensors`, { got: named.length });
  }
  const entries = named
    .map(([name, value]) => parseEntry(name, value, file))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  // Only now: counting recurses, and up to here the text might be nested to any depth.
  if (writtenPairs(text) !== countPairs(parsed)) throw unsound(file, 'its header gives a name twice');
  let at = 0;
  for (const { spec, begin, end } of entries) {
    if (begin !== at) {
      const what = begin < at ? 'overlaps the one before it' : 'leaves a gap before it';
      throw unsound(file, `tensor ${spec.name} ${what}`, { expected: at, got: begin });
    }
    at = end;
  }
  return { bytes, entries, dataBytes: at };
}

function parseObject(bytes: Uint8Array, file: string): { text: string; parsed: Record<string, unknown> } {
  let text: string;
  let parsed: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    parsed = JSON.parse(text);
  } catch {
    throw unsound(file, 'its header is no JSON');
  }
  if (text[0] !== '{') throw unsound(file, 'its header does not begin with {');
  return { text, parsed: parsed as Record<string, unknown> };
}

function parseEntry(name: string, value: unknown, file: string): HeaderEntry {
  if (!name.isWellFormed()) throw unsound(file, 'a name is no Unicode text');
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) {
    throw unsound(file, `a name is longer than ${MAX_NAME_BYTES} bytes`, { name: `${name.slice(0, 64)}…` });
  }
  const entry = entrySchema.safeParse(value);
  if (!entry.success) {
    const { path, message } = entry.error.issues[0]!;
    throw unsound(file, `${[name, ...path].join('.')}: ${message}`);
  }
  const { dtype, shape, data_offsets: offsets } = entry.data;
  const carried = fileDtype(dtype);
  if (carried === null) {
    throw unsound(
      file,
      `tensor ${name} has type ${dtype.slice(0, 64)}; known are ${FILE_DTYPE_NAMES.join(', ')}`,
    );
  }
  const [begin, end] = offsets;
  const expected = shape.reduce((product, dimension) => product * dimension, carried.bytes);
  if (end - begin !== expected) {
    throw unsound(file, `tensor ${name} has not the bytes of its shape`, { expected, got: end - begin });
  }
  return { spec: { name, dtype: carried.as, shape: carriedShape(carried, shape) }, begin, end };
}
