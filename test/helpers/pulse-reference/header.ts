import { createHash } from 'node:crypto';
import { signed, TYPES, type Type } from './models.ts';
import { Refused } from './range-coder.ts';

/** PULSE's headers and state ids of docs/PROTOCOL.md. */

export interface Spec {
  name: string;
  type: Type;
  shape: number[];
}

export interface Tensor extends Spec {
  /** Bit patterns, unsigned. */
  values: Uint32Array;
}

export interface Header {
  kind: 'patch' | 'anchor';
  overwrite: boolean;
  rooted: boolean;
  baseId: Buffer;
  targetId: Buffer;
  history?: { steps: number; tag: Buffer } | undefined;
  extra: Buffer;
  tensors: Spec[];
}

export const sha256 = (...parts: Uint8Array[]): Buffer =>
  createHash('sha256').update(Buffer.concat(parts)).digest();
export const tag = (name: string): Buffer => sha256(Buffer.from(`grail/v1/${name}`));
export const elementsOf = ({ shape }: Spec): number => shape.reduce((a, b) => a * b, 1);

export function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

function leb(value: number): Buffer {
  const bytes = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return Buffer.from([...bytes, value]);
}

const specBytes = (specs: readonly Spec[], rooted: boolean): Buffer =>
  Buffer.concat([
    leb(specs.length),
    ...specs.flatMap(({ name, type, shape }) => [
      ...(rooted ? [] : [leb(Buffer.byteLength(name)), Buffer.from(name)]),
      Buffer.from([16 * (TYPES.indexOf(type) + 1) + shape.length]),
      ...shape.map(leb),
    ]),
  ]);

export function headerBytes(header: Header): Buffer {
  const { overwrite, rooted, history } = header;
  const flags = Number(overwrite) + 2 * Number(history !== undefined) + 4 * Number(rooted);
  return Buffer.concat([
    Buffer.from([...Buffer.from('PULS'), 2, header.kind === 'patch' ? 1 : 2, flags]),
    header.baseId,
    header.targetId,
    ...(history ? [leb(history.steps), history.tag] : []),
    ...(header.kind === 'anchor' ? [leb(header.extra.length), header.extra] : []),
    specBytes(header.tensors, rooted),
  ]);
}

function need(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Refused('PATCH_FORMAT', what);
}

function utf8(bytes: Buffer): string {
  const name = bytes.toString();
  need(Buffer.from(name).equals(bytes), 'a name is not UTF-8');
  return name;
}

export function parseHeader(
  bytes: Uint8Array,
  kind: 'patch' | 'anchor',
): { header: Header; code: Uint8Array } {
  let position = 0;
  const take = (count: number) => {
    need(position + count <= bytes.length, 'the header ends early');
    position += count;
    return Buffer.from(bytes.subarray(position - count, position));
  };
  const number = (most: number, max: number) => {
    let value = 0;
    for (let i = 0; ; i++) {
      need(i < most, 'a number of too many bytes');
      const byte = take(1)[0]!;
      value += (byte & 127) * 128 ** i;
      if (byte >= 128) continue;
      need(byte > 0 || i === 0, 'a number not in its shortest form');
      need(value <= max, 'a number too large');
      return value;
    }
  };
  need(take(6).equals(Buffer.from([...Buffer.from('PULS'), 2, kind === 'patch' ? 1 : 2])), 'another format');
  const flags = take(1)[0]!;
  need([0, 1, 2, 4].includes(flags) && (kind === 'patch' || (flags & 3) === 0), 'unknown flags');
  const rooted = (flags & 4) !== 0;
  const baseId = take(kind === 'patch' ? 32 : 0);
  const targetId = take(32);
  const history = (flags & 2) !== 0 ? { steps: number(6, 2 ** 42), tag: take(8) } : undefined;
  need(history?.steps !== 0 || history.tag.every((byte) => byte === 0), 'a fresh history has no tag');
  const extra = kind === 'anchor' ? take(number(2, 8192)) : Buffer.alloc(0);
  const tensors: Spec[] = [];
  for (let left = number(3, 100_000); left > 0; left--) {
    const name = rooted ? '' : utf8(take(number(2, 1024)));
    const byte = take(1)[0]!;
    need(byte >= 16 && byte < 96 && byte % 16 <= 8, 'an unknown type or rank');
    const shape = Array.from({ length: byte % 16 }, () => number(6, 2 ** 42));
    const spec = { name, type: TYPES[(byte >> 4) - 1]!, shape };
    need(elementsOf(spec) <= 2 ** 40, 'a tensor too large');
    tensors.push(spec);
  }
  need(position <= 67_108_864, 'a header too large');
  const header = { kind, overwrite: (flags & 1) !== 0, rooted, baseId, targetId, history, extra, tensors };
  return { header, code: bytes.subarray(position) };
}

const u64Of = (x: bigint) => BigInt.asUintN(64, x);

function mix(seed: bigint): bigint {
  let x = u64Of(seed);
  x ^= x >> 30n;
  x = u64Of(x * 0xbf58476d1ce4e5b9n);
  x ^= x >> 27n;
  x = u64Of(x * 0x94d049bb133111ebn);
  return x ^ (x >> 31n);
}

const LANES = [0x243f6a8885a308d3n, 0x13198a2e03707345n].map((c, l) => ({
  m: (t: number, s: number) => mix(2n * (BigInt(t) * 2n ** 40n + BigInt(s)) + c) | 1n,
  p: Array.from({ length: 512 }, (_, j) => mix(0x9e3779b97f4a7c15n * BigInt(512 * l + j + 1)) | 1n),
}));

function setHash(tensors: readonly Tensor[]): Buffer {
  const sums = LANES.map(({ m, p }) => {
    let total = 0n;
    tensors.forEach(({ values }, t) => {
      for (let from = 0; from < values.length; from += 512) {
        const segment = values.subarray(from, from + 512);
        let inner = 0n;
        for (let j = 0; j < segment.length; j++) inner += p[j]! * BigInt(segment[j]!);
        total = u64Of(total + m(t, from / 512) * inner);
      }
    });
    return u64(total);
  });
  return Buffer.concat(sums);
}

export const stateIdOf = (tensors: readonly Tensor[]): Buffer =>
  Buffer.concat([sha256(tag('pulse-tensors'), specBytes(tensors, false)).subarray(0, 16), setHash(tensors)]);

function treeHash(chunks: Buffer[]): Buffer {
  if (chunks.length === 1) return sha256(Buffer.from([0]), chunks[0]!);
  const left = 2 ** Math.floor(Math.log2(chunks.length - 1));
  return sha256(Buffer.from([1]), treeHash(chunks.slice(0, left)), treeHash(chunks.slice(left)));
}

/** Of a policy whose architecture is this canonical JSON. */
export function policyRootOf(tensors: readonly Tensor[], architecture: string): Buffer {
  const bytes = Buffer.concat(
    tensors.map(({ type, values }) => {
      if (type === 'int8') return Buffer.from(values);
      return Buffer.from(Int32Array.from(values, (value) => signed('int32', value)).buffer);
    }),
  );
  const chunks = Array.from({ length: Math.ceil(bytes.length / 65_536) }, (_, i) =>
    bytes.subarray(65_536 * i, 65_536 * (i + 1)),
  );
  return sha256(tag('policy'), sha256(Buffer.from(architecture)), treeHash(chunks));
}
