import { createHash } from 'node:crypto';
import { useSha256 } from '../protocol/hash.ts';

/** Makes every SHA-256 of the process run in OpenSSL: the same digests, about five times faster than JavaScript. */
export function useNodeSha256(): void {
  useSha256((parts) => {
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    return new Uint8Array(hash.digest());
  });
}
