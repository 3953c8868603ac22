import { useNodeSha256 } from './node-hash.ts';
import { useNodeSignatures } from './node-signatures.ts';

/** Makes every hash and signature of the thread as fast as Node can: for processes that read or sign messages. */
export function useNodeCrypto(): void {
  useNodeSha256();
  useNodeSignatures();
}
