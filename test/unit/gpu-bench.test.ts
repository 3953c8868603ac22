import { describe, expect, test } from 'vitest';
import { comply, expectSame } from '../../bench/gpu/compliance.ts';
import { type Adapter, findDriver, type Way } from '../../bench/gpu/driver.ts';
import { parseFlags } from '../../bench/gpu/flags.ts';
import { targetOf } from '../../bench/gpu/report.ts';
import type { Speed } from '../../bench/gpu/speed.ts';
import { networks } from '../../bench/support/networks.ts';
import { type Backend, simdBackend } from '../../src/backends/index.ts';

const cartPole = networks([]).find(({ name }) => name === 'CartPole')!;
const options = { rows: 100, policies: 1, signal: new AbortController().signal };

/** The kernel, with one logit of one batch size changed. */
function tampered(batch: number, change: (logits: Int32Array) => ArrayLike<number>): Backend {
  const kernel = simdBackend();
  return {
    ...kernel,
    name: 'tampered',
    load(policy) {
      const loaded = kernel.load(policy);
      return {
        policy,
        dispose: () => loaded.dispose(),
        logits: (observations, rows) => {
          const logits = loaded.logits(observations, rows);
          return rows === batch ? (change(logits) as Int32Array) : logits;
        },
      };
    },
  };
}

describe('the compliance suite of the GPU archive', () => {
  test('finds every logit of the kernel the same', async () => {
    const result = await comply(simdBackend(), simdBackend(), cartPole, options);
    expect(result).toMatchObject({ exact: true, policies: 2, rows: 200, failures: [] });
    expect(result.referenceRows).toBeGreaterThan(0);
  });

  test('reports a logit that is off by one, with its code and its row', async () => {
    // A size that only the last batch of each policy has.
    const backend = tampered(28, (logits) => logits.with(5, logits[5]! + 1));
    const result = await comply(backend, simdBackend(), cartPole, options);
    expect(result.exact).toBe(false);
    expect(result.failures).toHaveLength(2);
    expect(result.failures[0]).toMatchObject({
      code: 'BACKEND_NOT_EXACT',
      details: { backend: 'tampered', batch: 28, row: 74, action: 1 },
    });
  });

  test('reports what the self-test finds', async () => {
    const backend = tampered(1024, (logits) => logits.with(0, logits[0]! + 1));
    const { exact, failures } = await comply(backend, simdBackend(), cartPole, options);
    expect(exact).toBe(false);
    expect(failures.map(({ code }) => code)).toEqual(['BACKEND_NOT_EXACT']);
  });

  test.each([
    ['−0 for 0', [-0, 7]],
    ['a logit too few', [0]],
  ])('takes %s for a difference', (_, got) => {
    const place = { batch: 1, firstRow: 0 };
    expect(() => expectSame('webgpu', Int32Array.of(0, 7), got, 2, place)).toThrow(
      expect.objectContaining({ code: 'BACKEND_NOT_EXACT' }),
    );
  });
});

describe('the search for a Vulkan driver', () => {
  const ways: Way[] = ['a', 'b', 'c'].map((how) => ({ how, manifest: how }));
  const adapter = (emulated: boolean): Adapter => ({
    vendor: 'v',
    architecture: '',
    device: 'd',
    description: '',
    emulated,
  });
  const search = (found: Record<string, Adapter>) =>
    findDriver(ways, ({ how }) => ({ adapter: found[how] ?? null, log: '' }));

  test('takes a GPU before one that is emulated, and looks no further', () => {
    const { driver, tried } = search({ a: adapter(true), b: adapter(false), c: adapter(false) });
    expect(driver?.how).toBe('b');
    expect(tried).toEqual(['a: v d (emulated: not a GPU)', 'b: v d']);
  });

  test('takes one that is emulated when there is no other', () => {
    expect(search({ b: adapter(true) }).driver?.how).toBe('b');
  });

  test('finds none, and says what it tried', () => {
    expect(search({})).toEqual({ driver: null, tried: ['a', 'b', 'c'].map((how) => `${how}: no adapter`) });
  });
});

test('a device that is emulated never reaches the target', () => {
  const speed = (emulated: boolean): Speed[] => [
    {
      network: 'MinAtar Breakout',
      on: 'webgpu',
      batch: 64,
      emulated,
      inFlight: 4,
      stepsPerSecond: 2e6,
      runs: [2e6],
    },
  ];
  expect(targetOf(speed(true))?.reached).toBeNull();
  expect(targetOf(speed(false))?.reached).toBe(true);
});

test.each([
  ['--runs', '0'],
  ['--batches', '1,,2'],
  ['--seconds', 'long'],
  ['--rows', '1.5'],
])('the archive refuses %s %s', (name, value) => {
  expect(() => parseFlags([name, value], 2)).toThrow(name);
});
