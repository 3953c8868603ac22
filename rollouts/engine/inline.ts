import type { AnyBackend, DevicePolicy, LoadedPolicy } from '../../src/backends/index.ts';
import { environmentById, joinRuns, rolloutArrays } from '../../src/environments/index.ts';
import { digestsOf, playAtOnce, playLater } from './play.ts';
import type { RolloutEngine } from './types.ts';

/** An engine in the caller's thread: for what is small, and for tests. The backend stays the caller's. */
export function inlineEngine(backend: AnyBackend): RolloutEngine {
  return {
    backend: backend.name,
    device: backend.device,
    threads: 0,
    get memoryBytes() {
      return backend.memoryBytes();
    },
    async play(input, { digests = true } = {}) {
      const { genesis, slots, policy } = input;
      const { environment, stepsPerSlot } = genesis;
      const out = rolloutArrays(slots, stepsPerSlot, environmentById(environment).observation);
      const loaded = backend.load(policy);
      try {
        const range = { first: 0, slots };
        const ends =
          backend.answers === 'at once'
            ? [playAtOnce(input, range, out, loaded as LoadedPolicy)]
            : await playLater(input, range, out, loaded as DevicePolicy);
        return {
          ...joinRuns(slots, stepsPerSlot, out, ends),
          digests: digests ? digestsOf(input, range, out) : null,
        };
      } finally {
        loaded.dispose();
      }
    },
    async close() {},
  };
}
