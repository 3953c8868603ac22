import { concat, equalBytes, type Hex, toHex, utf8 } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import type { HistoryHead } from './history.ts';
import { type ByteSource, type Dtype, elementCount, type TensorSpec } from './tensor.ts';

/** The bytes in front of a patch's or anchor's code (docs/PROTOCOL.md, PULSE). */

const MAGIC = utf8('PULS');
export const FORMAT_VERSION = 2;
const KINDS = { patch: 1, anchor: 2 } as const;
const OVERWRITE = 1;
const HISTORY = 2;
const ROOTED = 4;
export const ID_BYTES = 32;
export const TAG_BYTES = 8;
const NO_TAG = toHex(new Uint8Array(TAG_BYTES));

export const MAX_TENSORS = 100_000;
export const MAX_NAME_BYTES = 1024;
export const MAX_RANK = 8;
/** Elements of a tensor: its bytes stay a number that JavaScript counts exactly. */
export const MAX_ELEMENTS = 2 ** 40;
/** Longest canonical architecture: sixteen layers take about 1,300 bytes. */
export const MAX_META_BYTES = 8192;
/** A header of more is refused before it is read: names of 100,000 tensors take a tenth. */
export const MAX_HEADER_BYTES = 67_108_864;

const NAMES = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const DTYPES: readonly Dtype[] = ['int8', 'int32', 'bf16', 'f16', 'f32'];

/** What stands in front of a patch or an anchor. */
export interface PatchHeader {
  readonly kind: 'patch' | 'anchor';
  /** Values are whole and nothing of the base was used: the patch may be applied again, and to a half-applied base. */
  readonly overwrite: boolean;
  /** Ids are roots that are computed otherwise (a policy's), not state ids, and tensors have no names. */
  readonly rooted: boolean;
  /** The patch was coded with marks: only who holds history `historyTag` can read it. */
  readonly keepsHistory: boolean;
  readonly historySteps: number;
  /** 8 bytes. */
  readonly historyTag: Hex;
  /** 32 bytes; null for an anchor. */
  readonly baseId: Hex | null;
  readonly targetId: Hex;
  /** What the user of an anchor needs besides its tensors: a policy's architecture. */
  readonly meta: Uint8Array;
  readonly specs: readonly TensorSpec[];
  readonly headerBytes: number;
}

export function formatError(message: string, details: Record<string, string | number> = {}): GrailError {
  return new GrailError('PATCH_FORMAT', message, details);
}

/** Reads fields from a stream and complains when it ends. What it took too much of stands in `rest`. */
export class FieldReader {
  readonly #source: ByteSource;
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** Bytes read. */
  count = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  take(count: number): Uint8Array {
    this.count += count;
    if (this.count > MAX_HEADER_BYTES)
      throw formatError('the header is too long', { expected: MAX_HEADER_BYTES });
    if (this.#at + count <= this.#chunk.length) {
      this.#at += count;
      return this.#chunk.subarray(this.#at - count, this.#at);
    }
    const out = new Uint8Array(count);
    for (let filled = 0; filled < count; ) {
      if (this.#at === this.#chunk.length) {
        this.#chunk = this.#source.take(65_536).slice();
        this.#at = 0;
        if (this.#chunk.length === 0) throw formatError('the header is cut short');
      }
      const part = this.#chunk.subarray(this.#at, this.#at + count - filled);
      out.set(part, filled);
      filled += part.length;
      this.#at += part.length;
    }
    return out;
  }

  byte(): number {
    return this.take(1)[0]!;
  }

  /** An unsigned LEB128 integer of at most `bytes` bytes, in its shortest form. */
  varint(bytes: number): number {
    let value = 0;
    for (let i = 0; i < bytes; i++) {
      const byte = this.byte();
      value += (byte & 127) * 2 ** (7 * i);
      if (byte < 128) {
        if (byte === 0 && i > 0) throw formatError('a length is not in its shortest form');
        return value;
      }
    }
    throw formatError('a length takes too many bytes');
  }

  /** The stream from here on. */
  rest(): ByteSource {
    return {
      take: (max) => {
        if (this.#at === this.#chunk.length) return this.#source.take(max);
        const part = this.#chunk.subarray(this.#at, this.#at + max);
        this.#at += part.length;
        return part;
      },
    };
  }
}

/** An unsigned integer as LEB128 in its shortest form. */
export function varint(value: number): Uint8Array {
  const out: number[] = [];
  pushVarint(out, value);
  return Uint8Array.from(out);
}

export function pushVarint(out: number[], value: number): void {
  let rest = value;
  while (rest >= 128) {
    out.push(128 + (rest % 128));
    rest = Math.floor(rest / 128);
  }
  out.push(rest);
}

/** Names, unless tensors have none, types and dimensions: all that base and target must have in common. */
export function encodeSpecs(specs: readonly TensorSpec[], named = true): Uint8Array {
  const parts: Uint8Array[] = [varint(specs.length)];
  for (const { name, dtype, shape } of specs) {
    if (named) {
      const bytes = utf8(name);
      parts.push(varint(bytes.length), bytes);
    }
    const type = 16 * (DTYPES.indexOf(dtype) + 1) + shape.length;
    parts.push(Uint8Array.of(type), ...shape.map(varint));
  }
  // Of 100,000 tensors there are more parts than arguments that a call may have.
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** @throws GrailError TENSORS_INVALID when a patch could not hold them. */
export function checkSpecs(specs: readonly TensorSpec[]): void {
  const fail = (message: string, name: string) => {
    throw new GrailError('TENSORS_INVALID', message, { tensor: name.slice(0, 64) });
  };
  if (specs.length > MAX_TENSORS) fail(`there are more than ${MAX_TENSORS} tensors`, '');
  for (const spec of specs) {
    if (utf8(spec.name).length > MAX_NAME_BYTES) fail('the name is too long', spec.name);
    // Of half a surrogate pair another name would be written.
    if (!spec.name.isWellFormed()) fail('the name is not Unicode text', spec.name);
    if (spec.shape.length > MAX_RANK) fail(`the tensor has more than ${MAX_RANK} dimensions`, spec.name);
    if (spec.shape.some((dim) => !Number.isSafeInteger(dim) || dim < 0)) {
      fail('a dimension is not a size', spec.name);
    }
    if (elementCount(spec) > MAX_ELEMENTS) fail('the tensor is too large', spec.name);
  }
}

function readSpecs(reader: FieldReader, named: boolean): TensorSpec[] {
  const count = reader.varint(3);
  if (count > MAX_TENSORS) throw formatError('there are too many tensors', { got: count });
  const specs: TensorSpec[] = [];
  for (let i = 0; i < count; i++) {
    const name = named ? readName(reader) : '';
    const type = reader.byte();
    const dtype = DTYPES[(type >>> 4) - 1];
    const rank = type & 15;
    if (dtype === undefined || rank > MAX_RANK)
      throw formatError('a tensor has an unknown type', { got: type });
    const shape = Array.from({ length: rank }, () => reader.varint(6));
    const spec: TensorSpec = { name, dtype, shape };
    if (elementCount(spec) > MAX_ELEMENTS)
      throw formatError('a tensor is too large', { got: elementCount(spec) });
    specs.push(spec);
  }
  return specs;
}

function readName(reader: FieldReader): string {
  const length = reader.varint(2);
  if (length > MAX_NAME_BYTES) throw formatError('a name is too long', { got: length });
  try {
    return NAMES.decode(reader.take(length));
  } catch (error) {
    if (error instanceof GrailError) throw error;
    throw formatError('a name is not UTF-8');
  }
}

/** What a header is made of; `headerBytes` follows. */
export interface HeaderFields {
  readonly kind: 'patch' | 'anchor';
  readonly overwrite?: boolean;
  readonly rooted?: boolean;
  readonly history?: HistoryHead | null;
  readonly baseId: Uint8Array | null;
  readonly targetId: Uint8Array;
  readonly meta?: Uint8Array;
  readonly specs: readonly TensorSpec[];
}

/** @throws GrailError TENSORS_INVALID when it would be larger than a reader takes */
export function encodeHeader(fields: HeaderFields): Uint8Array {
  const { kind, history = null, baseId, targetId, meta = new Uint8Array(0), specs } = fields;
  const flags =
    (fields.overwrite === true ? OVERWRITE : 0) |
    (history === null ? 0 : HISTORY) |
    (fields.rooted === true ? ROOTED : 0);
  const header = concat(
    MAGIC,
    Uint8Array.of(FORMAT_VERSION, KINDS[kind], flags),
    baseId ?? new Uint8Array(0),
    targetId,
    ...(history === null ? [] : [varint(history.steps), history.tag]),
    ...(kind === 'anchor' ? [varint(meta.length), meta] : []),
    encodeSpecs(specs, fields.rooted !== true),
  );
  if (header.length <= MAX_HEADER_BYTES) return header;
  throw new GrailError('TENSORS_INVALID', `names and shapes take more than ${MAX_HEADER_BYTES} bytes`);
}

/** @throws GrailError PATCH_FORMAT when the bytes are not a header of this version. */
export function parseHeader(reader: FieldReader): PatchHeader {
  const magic = reader.take(4);
  if (!equalBytes(magic, MAGIC)) throw formatError('the bytes are not PULSE’s', { got: toHex(magic) });
  const version = reader.byte();
  if (version !== FORMAT_VERSION) {
    throw formatError('the bytes are of another version of PULSE', {
      expected: FORMAT_VERSION,
      got: version,
    });
  }
  const code = reader.byte();
  const kind = code === KINDS.patch ? 'patch' : code === KINDS.anchor ? 'anchor' : null;
  if (kind === null) throw formatError('the bytes are neither a patch nor an anchor', { got: code });
  const flags = reader.byte();
  const overwrite = (flags & OVERWRITE) !== 0;
  const keepsHistory = (flags & HISTORY) !== 0;
  if (
    ![0, OVERWRITE, HISTORY, ROOTED].includes(flags) ||
    (kind === 'anchor' && (overwrite || keepsHistory))
  ) {
    throw formatError('the header has unknown flags', { got: flags });
  }
  const baseId = kind === 'patch' ? toHex(reader.take(ID_BYTES)) : null;
  const targetId = toHex(reader.take(ID_BYTES));
  const historySteps = keepsHistory ? reader.varint(6) : 0;
  const historyTag = toHex(keepsHistory ? reader.take(TAG_BYTES) : new Uint8Array(TAG_BYTES));
  if (historySteps === 0 && historyTag !== NO_TAG) throw formatError('a fresh history has no tag');
  const metaLength = kind === 'anchor' ? reader.varint(2) : 0;
  if (metaLength > MAX_META_BYTES) throw formatError('the header is too long', { got: metaLength });
  const meta = reader.take(metaLength).slice();
  const specs = readSpecs(reader, (flags & ROOTED) === 0);
  return {
    kind,
    overwrite,
    rooted: (flags & ROOTED) !== 0,
    keepsHistory,
    historySteps,
    historyTag,
    baseId,
    targetId,
    meta,
    specs,
    headerBytes: reader.count,
  };
}

/** Reads the header of a patch or anchor. @throws GrailError PATCH_FORMAT */
export function readHeader(source: ByteSource): PatchHeader {
  return parseHeader(new FieldReader(source));
}
