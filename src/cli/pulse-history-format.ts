import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { MAX_TENSORS } from '../pulse/format.ts';
import { elementCount, FRESH, type HistoryHead, type TensorSpec } from '../pulse/index.ts';
import { readFully } from '../storage/read-fully.ts';

/**
 * A history file, numbers little-endian:
 *
 *     0 'PULSHIST'   8 version u32    12 tensors u32         16 steps u64     24 tag (8 bytes)
 *    32 state id (32 bytes)           64 digest of the specs (32 bytes)       96 bytes of marks u64
 *   104 bytes of models u32          108 crc32 of bytes 0 to 107, models and table
 *   112 marks, tensor by tensor; models; table: crc32 of each tensor's marks (u32)
 *
 * A fresh history has neither marks nor table: `tensors` and `bytes of marks` are 0.
 */
export interface HistoryRecord {
  readonly head: HistoryHead;
  /** The state that its last patch led to. */
  readonly stateId: Uint8Array;
  readonly specsDigest: Uint8Array;
  /** crc32 of each tensor's marks; empty when fresh. */
  readonly sums: readonly number[];
}

const MAGIC = 'PULSHIST';
const VERSION = 1;
/** Largest models: the codec's whole tables of every type are below a megabyte. */
export const MAX_MODEL_BYTES = 16_777_216;
/** Where marks begin. */
export const MARKS_AT = 112;
const CHECKED = 108;

/** What a history is about: names, types and shapes. */
export function specsDigest(specs: readonly TensorSpec[]): Uint8Array {
  const list = specs.map(({ name, dtype, shape }) => [name, dtype, shape]);
  return createHash('sha256').update(JSON.stringify(list)).digest();
}

/** Bytes of all marks: one an element. */
export function markBytes(specs: readonly TensorSpec[]): number {
  return specs.reduce((sum, spec) => sum + elementCount(spec), 0);
}

/** The bytes in front of the marks and those behind them. */
export function encodeRecord(record: HistoryRecord, marks: number): { front: Uint8Array; back: Uint8Array } {
  const { head, stateId, sums } = record;
  const front = Buffer.alloc(MARKS_AT);
  front.write(MAGIC, 'latin1');
  front.writeUInt32LE(VERSION, 8);
  front.writeUInt32LE(sums.length, 12);
  front.writeBigUInt64LE(BigInt(head.steps), 16);
  front.set(head.tag, 24);
  front.set(stateId, 32);
  front.set(record.specsDigest, 64);
  front.writeBigUInt64LE(BigInt(marks), 96);
  front.writeUInt32LE(head.models.length, 104);
  const back = Buffer.alloc(head.models.length + 4 * sums.length);
  back.set(head.models);
  for (const [i, sum] of sums.entries()) back.writeUInt32LE(sum, head.models.length + 4 * i);
  front.writeUInt32LE(crc32(back, crc32(front.subarray(0, CHECKED))), CHECKED);
  return { front, back };
}

/** Reads a history file; null when it is not a whole one. */
export function decodeRecord(descriptor: number, fileBytes: number): HistoryRecord | null {
  const front = Buffer.alloc(MARKS_AT);
  if (readFully(descriptor, front, 0) < MARKS_AT) return null;
  if (front.toString('latin1', 0, 8) !== MAGIC || front.readUInt32LE(8) !== VERSION) return null;
  const tensors = front.readUInt32LE(12);
  const marks = Number(front.readBigUInt64LE(96));
  const models = front.readUInt32LE(104);
  if (tensors > MAX_TENSORS || models > MAX_MODEL_BYTES) return null;
  const back = Buffer.alloc(models + 4 * tensors);
  if (fileBytes !== MARKS_AT + marks + back.length) return null;
  readFully(descriptor, back, MARKS_AT + marks);
  if (crc32(back, crc32(front.subarray(0, CHECKED))) !== front.readUInt32LE(CHECKED)) return null;
  const steps = Number(front.readBigUInt64LE(16));
  return {
    head: steps === 0 ? FRESH : { steps, tag: front.subarray(24, 32), models: back.subarray(0, models) },
    stateId: front.subarray(32, 64),
    specsDigest: front.subarray(64, 96),
    sums: Array.from({ length: tensors }, (_, i) => back.readUInt32LE(models + 4 * i)),
  };
}
