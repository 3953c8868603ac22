import { readFileSync } from 'node:fs';

/**
 * Reads SQLite's write-ahead log (sqlite.org/fileformat2.html, section 4) for one purpose: SQLite takes the first frame
 * whose checksum is wrong for the end of the log and forgets, without a word, every transaction after it. That is right
 * after a crash, which can damage the last transaction alone, and wrong after tampering, which must not make acknowledged
 * entries vanish.
 */

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const MAGIC = 0x377f0682;

/** The rolling checksum over 8-byte steps of `bytes[from, to)`. */
function checksum(
  view: DataView,
  from: number,
  to: number,
  littleEndian: boolean,
  [first, second]: readonly [number, number],
): [number, number] {
  let a = first;
  let b = second;
  for (let at = from; at < to; at += 8) {
    a = (a + view.getUint32(at, littleEndian) + b) >>> 0;
    b = (b + view.getUint32(at + 4, littleEndian) + a) >>> 0;
  }
  return [a, b];
}

/** Whether the bytes of a write-ahead log hold transactions that SQLite would silently drop, more than a crash explains. */
export function losesTransactions(bytes: Uint8Array): boolean {
  if (bytes.length <= HEADER_BYTES) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getUint32(0);
  // The lowest bit of the magic number tells the byte order of the checksums' words.
  const littleEndian = (magic & 1) === 0;
  let sum = checksum(view, 0, 24, littleEndian, [0, 0]);
  const headerHolds =
    (magic & ~1) === MAGIC && sum[0] === view.getUint32(24) && sum[1] === view.getUint32(28);
  if (!headerHolds) return true;
  const pageBytes = view.getUint32(8);
  const frameBytes = FRAME_HEADER_BYTES + pageBytes;
  let valid = true;
  let lost = 0;
  for (let at = HEADER_BYTES; at + frameBytes <= bytes.length; at += frameBytes) {
    const current =
      view.getUint32(at + 8) === view.getUint32(16) && view.getUint32(at + 12) === view.getUint32(20);
    if (valid) {
      sum = checksum(view, at, at + 8, littleEndian, sum);
      sum = checksum(view, at + FRAME_HEADER_BYTES, at + frameBytes, littleEndian, sum);
      valid = current && sum[0] === view.getUint32(at + 16) && sum[1] === view.getUint32(at + 20);
    }
    // Frames of the log's previous life lie behind its end; a frame that ends a transaction carries the database's size.
    if (!valid && current && view.getUint32(at + 4) !== 0) lost += 1;
  }
  return lost > 1;
}

/** The same of a file, which may be missing, and which its writer may be changing: only a lasting answer counts. */
export function walLosesTransactions(path: string): boolean {
  for (let attempt = 0; attempt < 3; attempt++) {
    let bytes: Uint8Array;
    try {
      bytes = readFileSync(path);
    } catch {
      return false;
    }
    if (!losesTransactions(bytes)) return false;
  }
  return true;
}
