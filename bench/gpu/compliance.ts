import { type AnyBackend, type Backend, selfTest } from '../../src/backends/index.ts';
import { forward, type Policy } from '../../src/policy/index.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { randomPolicy } from '../../test/support/policies.ts';
import { type Network, observations } from '../support/networks.ts';

export interface ComplianceOptions {
  /** Rows of observations that each policy gets. */
  readonly rows: number;
  /** Policies of random integers over their whole ranges, besides the initial one. */
  readonly policies: number;
  readonly signal: AbortSignal;
}

/** What came of one network. */
export interface Compliance {
  readonly network: string;
  readonly exact: boolean;
  readonly policies: number;
  /** Rows whose logits are the same integers as the kernel's. */
  readonly rows: number;
  /** Of those, rows whose logits are the same as the plain-integer reference's. */
  readonly referenceRows: number;
  /** What failed: the first thing of the self-test and of each policy. */
  readonly failures: readonly { readonly code: string; readonly message: string; readonly details: object }[];
}

/** Batches that a policy is asked, before all rows that are left come in one. */
const BATCHES = [1, 7, 64, 1000, 8192];
/** Batches under way at once on a device. */
const IN_FLIGHT = 4;
/** Rows of a batch that the reference computes too: it does some thousands a second. */
const REFERENCE_ROWS = 16;

/**
 * The self-test for a network, then policies by observations by batches, each logit compared with the integer kernel's and
 * some with the reference's.
 */
export async function comply(
  backend: AnyBackend,
  kernel: Backend,
  { name, policy: initial, binary }: Network,
  { rows, policies, signal }: ComplianceOptions,
): Promise<Compliance> {
  const { architecture } = initial;
  const failures: Compliance['failures'][number][] = [];
  const attempt = async (work: () => Promise<void>) => {
    signal.throwIfAborted();
    try {
      await work();
    } catch (error) {
      if (!(error instanceof GrailError)) throw error;
      const { code, message, details } = error;
      failures.push({ code, message, details: { ...details } });
    }
  };
  await attempt(() => selfTest(backend, architecture));
  const compared = { rows: 0, referenceRows: 0 };
  const all = [initial, ...Array.from({ length: policies }, (_, seed) => randomPolicy(architecture, seed))];
  const full = observations(rows * architecture.observation, { seed: 5 });
  const bits = binary ? observations(rows * architecture.observation, { binary, seed: 6 }) : full;
  for (const [index, policy] of all.entries()) {
    await attempt(() => comparePolicy(backend, kernel, policy, index % 2 === 0 ? bits : full, compared));
  }
  return { network: name, exact: failures.length === 0, policies: all.length, ...compared, failures };
}

async function comparePolicy(
  backend: AnyBackend,
  kernel: Backend,
  policy: Policy,
  input: Int8Array,
  compared: { rows: number; referenceRows: number },
): Promise<void> {
  const { observation, actions } = policy.architecture;
  const device = backend.load(policy);
  const exact = kernel.load(policy);
  const one = async (first: number, batch: number) => {
    const part = input.subarray(first * observation, (first + batch) * observation);
    const answer = device.logits(part, batch);
    const expected = exact.logits(part, batch);
    const sampled = Math.min(batch, REFERENCE_ROWS);
    // The last rows: what is cut wrongly goes wrong there first.
    const tail = part.subarray((batch - sampled) * observation);
    const where = { batch, firstRow: first };
    expectSame(
      kernel.name,
      forward(policy, tail, sampled),
      expected.subarray((batch - sampled) * actions),
      actions,
      {
        batch,
        firstRow: first + batch - sampled,
      },
    );
    expectSame(backend.name, expected, await answer, actions, where);
    compared.rows += batch;
    compared.referenceRows += sampled;
  };
  try {
    let flying: Promise<void>[] = [];
    for (const [first, batch] of batchesOf(input.length / observation)) {
      flying.push(one(first, batch));
      if (flying.length < IN_FLIGHT) continue;
      await settled(flying);
      flying = [];
    }
    await settled(flying);
  } finally {
    exact.dispose();
    device.dispose();
  }
}

/** Waits for all, then throws the first failure: what is under way still reads its observations. */
async function settled(flying: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(flying))
    if (result.status === 'rejected') throw result.reason;
}

/** `[first row, rows]` of each batch. */
function* batchesOf(rows: number): Generator<[first: number, batch: number]> {
  let first = 0;
  for (const batch of [...BATCHES, rows]) {
    const size = Math.min(batch, rows - first);
    if (size === 0) return;
    yield [first, size];
    first += size;
  }
}

/**
 * Compares logits bit for bit; −0 is not 0.
 * @throws GrailError BACKEND_NOT_EXACT naming the first row and action that differ
 */
export function expectSame(
  backend: string,
  expected: Int32Array,
  got: ArrayLike<number>,
  actions: number,
  { batch, firstRow }: { readonly batch: number; readonly firstRow: number },
): void {
  const failed = (message: string, details: { [key: string]: string | number }) =>
    new GrailError('BACKEND_NOT_EXACT', `the ${backend} backend is not exact (batch ${batch}): ${message}`, {
      backend,
      batch,
      ...details,
    });
  if (got.length !== expected.length) {
    throw failed('it gives another number of logits', { expected: expected.length, got: got.length });
  }
  for (let i = 0; i < expected.length; i++) {
    if (Object.is(got[i], expected[i])) continue;
    const row = firstRow + Math.floor(i / actions);
    throw failed(`a logit differs in row ${row}`, {
      row,
      action: i % actions,
      expected: expected[i]!,
      got: Object.is(got[i], -0) ? '−0' : got[i]!,
    });
  }
}
