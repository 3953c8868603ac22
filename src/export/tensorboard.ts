import { concat, utf8 } from '../protocol/bytes.ts';
import { crc32c } from './crc32c.ts';
import type { WriteBytes } from './table.ts';

/** A number at one step, by its name in TensorBoard (`group/name`). */
export type Scalars = Readonly<Record<string, number>>;

/** Protocol buffers' wire types. */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/**
 * An event file of TensorBoard: TFRecords, each a protocol buffer `Event` of scalars. The ledger has no clock, so an
 * event's wall time is its step, in seconds: the same ledger gives the same bytes.
 */
export class EventFile {
  readonly #write: WriteBytes;

  constructor(write: WriteBytes) {
    this.#write = write;
    write(record(event(0, message(3, utf8('brain.Event:2')))));
  }

  /** Adds the scalars of a step; values are kept as float32. */
  add(step: number, scalars: Scalars): void {
    const values = Object.entries(scalars).map(([tag, value]) =>
      message(1, concat(message(1, utf8(tag)), tagOf(2, FIXED32), float32(value))),
    );
    this.#write(record(event(step, message(5, concat(...values)))));
  }
}

/** `Event`: wall_time = 1 (double), step = 2 (int64), file_version = 3, summary = 5. Zero is what absence means. */
function event(step: number, what: Uint8Array): Uint8Array {
  if (step === 0) return what;
  return concat(tagOf(1, FIXED64), float64(step), tagOf(2, VARINT), varint(step), what);
}

/** A length-delimited field. */
function message(field: number, bytes: Uint8Array): Uint8Array {
  return concat(tagOf(field, BYTES), varint(bytes.length), bytes);
}

function tagOf(field: number, wireType: number): Uint8Array {
  return varint(field * 8 + wireType);
}

/** A non-negative integer, seven bits a byte, least significant first. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Uint8Array.of(...bytes, rest);
}

function float32(value: number): Uint8Array {
  return little(4, (view) => view.setFloat32(0, value, true));
}

function float64(value: number): Uint8Array {
  return little(8, (view) => view.setFloat64(0, value, true));
}

/** A TFRecord: u64 length, its masked CRC, the bytes, their masked CRC; little-endian. */
function record(bytes: Uint8Array): Uint8Array {
  const length = little(8, (view) => view.setBigUint64(0, BigInt(bytes.length), true));
  return concat(length, maskedCrc(length), bytes, maskedCrc(bytes));
}

/** TensorFlow rotates and shifts a CRC, so that the CRC of bytes that hold one is not special. */
function maskedCrc(bytes: Uint8Array): Uint8Array {
  const crc = crc32c(bytes);
  const masked = (((crc >>> 15) | (crc << 17)) + 0xa282_ead8) >>> 0;
  return little(4, (view) => view.setUint32(0, masked, true));
}

function little(size: number, set: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(size);
  set(new DataView(bytes.buffer));
  return bytes;
}
