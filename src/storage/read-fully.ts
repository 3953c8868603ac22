import { readSync } from 'node:fs';

/** Node takes no read of 2 GiB. */
const PART = 1 << 28;

/** Reads from a place of a file until `target` is full or the file ends; gives how many bytes came. */
export function readFully(descriptor: number, target: Uint8Array, position: number): number {
  let done = 0;
  while (done < target.length) {
    const wanted = Math.min(PART, target.length - done);
    const got = readSync(descriptor, target, done, wanted, position + done);
    if (got === 0) break;
    done += got;
  }
  return done;
}
