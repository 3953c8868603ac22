import { z } from 'zod';
import { concat, u32, utf8 } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import type { AcceptedRollouts } from '../../src/replica/check.ts';

/**
 * Accepted rollouts as bytes, on their way from who replayed them to who trains: u32 length of a JSON header, the header, then
 * the arrays, little-endian, in the order of ARRAYS.
 */

const count = z
  .int()
  .min(0)
  .max(2 ** 31);

const headerSchema = z.strictObject({
  slots: count,
  steps: count,
  episodes: z.array(z.tuple([count, count, count, z.number()])).max(16_777_216),
  /** Bytes of each array. */
  bytes: z.array(count).length(8),
});

const ARRAYS = [
  ['observations', Int8Array],
  ['actions', Uint16Array],
  ['rewards', Float32Array],
  ['terminated', Uint8Array],
  ['truncated', Uint8Array],
  ['bootstrapIndex', Uint32Array],
  ['bootstrapObservations', Int8Array],
] as const;

/** Bytes of an element of each array; the last is the logits. */
const ELEMENT_BYTES = [
  ...ARRAYS.map(([, { BYTES_PER_ELEMENT }]) => BYTES_PER_ELEMENT),
  Int32Array.BYTES_PER_ELEMENT,
];

export function encodeRollouts({ rollouts, logits }: AcceptedRollouts): Uint8Array {
  const parts = [...ARRAYS.map(([name]) => rollouts[name]), logits].map(
    ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength),
  );
  const header: z.input<typeof headerSchema> = {
    slots: rollouts.slots,
    steps: rollouts.steps,
    episodes: rollouts.episodes.map((e) => [e.slot, e.start, e.length, e.return]),
    bytes: parts.map(({ length }) => length),
  };
  const text = utf8(JSON.stringify(header));
  return concat(u32(text.length), text, ...parts);
}

/** @throws GrailError BLOB_CORRUPT when they are not such bytes */
export function decodeRollouts(bytes: Uint8Array): AcceptedRollouts {
  const length = bytes.length < 4 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  const header = headerSchema.safeParse(parseJson(bytes.subarray(4, 4 + length)));
  const total = header.success ? header.data.bytes.reduce((sum, size) => sum + size, 4 + length) : -1;
  const whole = header.success && header.data.bytes.every((size, i) => size % ELEMENT_BYTES[i]! === 0);
  if (!header.success || total !== bytes.length || !whole) {
    throw new GrailError('BLOB_CORRUPT', 'rollouts between processes are damaged: the job is done again');
  }
  let at = 4 + length;
  const next = (i: number): ArrayBuffer => {
    // A copy of its own: typed arrays want aligned memory.
    const part = bytes.slice(at, at + header.data.bytes[i]!);
    at += part.length;
    return part.buffer as ArrayBuffer;
  };
  const { slots, steps, episodes } = header.data;
  return {
    rollouts: {
      slots,
      steps,
      observations: new Int8Array(next(0)),
      actions: new Uint16Array(next(1)),
      rewards: new Float32Array(next(2)),
      terminated: new Uint8Array(next(3)),
      truncated: new Uint8Array(next(4)),
      bootstrapIndex: new Uint32Array(next(5)),
      bootstrapObservations: new Int8Array(next(6)),
      episodes: episodes.map(([slot, start, size, value]) => ({ slot, start, length: size, return: value })),
    },
    logits: new Int32Array(next(7)),
  };
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
