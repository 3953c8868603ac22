import { fileURLToPath } from 'node:url';
import { Peer } from '../support/peer.ts';
import type { CudaPeer } from './speed.ts';

/** PyTorch as it was found. */
export interface Cuda extends CudaPeer {
  readonly found: { readonly torch: string; readonly cuda: string | null; readonly device: string };
  end(): void;
}

/** PyTorch on CUDA by this Python, or why there is none. */
export async function openCuda(python: string): Promise<Cuda | { readonly missing: string }> {
  const peer = new Peer(python, fileURLToPath(new URL('peer.py', import.meta.url)));
  let answer: { readonly [key: string]: unknown };
  try {
    answer = await peer.ask({ hello: true });
  } catch (error) {
    return { missing: (error as Error).message };
  }
  if (typeof answer.missing === 'string') {
    peer.end();
    return { missing: answer.missing };
  }
  return {
    found: answer as unknown as Cuda['found'],
    async rate(question) {
      const { rate, error } = await peer.ask(question);
      if (typeof rate !== 'number') throw new Error(String(error));
      return rate;
    },
    end: () => peer.end(),
  };
}
