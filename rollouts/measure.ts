import type { AnyBackend } from '../src/backends/index.ts';
import type { Policy } from '../src/policy/index.ts';
import { LANES } from './engine/play.ts';

/** Milliseconds that one measurement takes, unless a single pass takes longer. */
const MEASURE_MS = 100;
/** Of a clock that stands still. */
const MAX_PASSES = 10_000;

const monotonic = () => performance.now();

/**
 * Policy steps a second of one thread at this batch, after a pass that is not timed, since it compiles. A device gets
 * several batches at once, as it does when it mines.
 * @param now milliseconds of a clock that only moves forward
 */
export async function measureBackend(
  backend: AnyBackend,
  policy: Policy,
  batch: number,
  now: () => number = monotonic,
): Promise<number> {
  // Every value from −127 to 127: observations of one sign may take a shorter way.
  const observations = Int8Array.from(
    { length: batch * policy.architecture.observation },
    (_, i) => ((i * 37) % 255) - 127,
  );
  const lanes = backend.answers === 'later' ? LANES : 1;
  const loaded = backend.load(policy);
  const pass = () => Promise.all(Array.from({ length: lanes }, () => loaded.logits(observations, batch)));
  try {
    await pass();
    const began = now();
    let passes = 0;
    let took = 0;
    while (took < MEASURE_MS && passes < MAX_PASSES) {
      await pass();
      passes++;
      took = now() - began;
    }
    return (1000 * passes * lanes * batch) / Math.max(took, Number.MIN_VALUE);
  } finally {
    loaded.dispose();
  }
}
