import type { AnyBackend } from '../../src/backends/index.ts';
import { forward, type Policy } from '../../src/policy/index.ts';

/** Where logits differ first. */
export interface Difference {
  readonly row: number;
  readonly action: number;
  readonly expected: number;
  readonly got: number;
}

/** The first logit that is not the same integer; null when all are. Both `[rows, actions]` int32. */
export function firstDifference(got: Int32Array, expected: Int32Array, actions: number): Difference | null {
  const length = Math.max(got.length, expected.length);
  for (let i = 0; i < length; i++) {
    if (got[i] === expected[i]) continue;
    const place = { row: Math.floor(i / actions), action: i % actions };
    return { ...place, expected: expected[i] ?? Number.NaN, got: got[i] ?? Number.NaN };
  }
  return null;
}

export interface Comparison {
  readonly rows: number;
  /** Rows for which plain integers were asked as well. */
  readonly referenceRows: number;
  readonly difference: (Difference & { readonly batch: number }) | null;
}

/** Rows of each batch whose logits plain integers give too: those are slow. */
const REFERENCE_ROWS = 16;

/** Holds a backend's logits against the integer kernel's, every row, and the kernel's first rows against plain integers. */
export async function compareLogits(
  backend: AnyBackend,
  kernel: AnyBackend,
  policy: Policy,
  batches: readonly { readonly rows: number; readonly observations: Int8Array }[],
): Promise<Comparison> {
  const { observation, actions } = policy.architecture;
  const [device, exact] = [backend.load(policy), kernel.load(policy)];
  let rows = 0;
  let referenceRows = 0;
  try {
    for (const { rows: batch, observations } of batches) {
      const expected = await exact.logits(observations, batch);
      const few = Math.min(batch, REFERENCE_ROWS);
      const reference = forward(policy, observations.subarray(0, few * observation), few);
      const difference =
        firstDifference(expected.subarray(0, few * actions), reference, actions) ??
        firstDifference(await device.logits(observations, batch), expected, actions);
      if (difference !== null) return { rows, referenceRows, difference: { ...difference, batch } };
      rows += batch;
      referenceRows += few;
    }
    return { rows, referenceRows, difference: null };
  } finally {
    device.dispose();
    exact.dispose();
  }
}
