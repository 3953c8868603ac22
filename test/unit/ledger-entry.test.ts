import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { entryBytes, type LedgerEntry, MAX_ENTRY_BYTES, parseEntry } from '../../src/ledger/entry.ts';
import { type Hex, toHex, utf8 } from '../../src/protocol/bytes.ts';
import type { Json } from '../../src/protocol/canonical.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { maxEnrolled } from '../../src/replica/admission.ts';
import type { MinerResult, VerdictBody } from '../../src/replica/bodies.ts';
import { firstDifference } from '../../src/replica/recheck.ts';
import { KEYS, named, TestNetwork, tinyGenesis } from '../helpers/network.ts';

function refusal(action: () => unknown): GrailError {
  try {
    action();
  } catch (error) {
    if (error instanceof GrailError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('an entry says nothing that no rule reads', () => {
  const entry = (body: string, more = '') =>
    utf8(`{${more}"author":null,"body":${body},"phase":"enrol","view":0,"window":0}`);

  test('a plain one is read', () => {
    expect(parseEntry(entry('{"a":1,"type":"x"}')).body).toEqual({ a: 1, type: 'x' });
  });

  test.each([
    ['a member that parsers pass over', entry('{"__proto__":{"hidden":1},"type":"x"}')],
    ['a number beyond float64', entry('{"a":1e999,"type":"x"}')],
    ['half a surrogate pair', entry('{"a":"\\ud800","type":"x"}')],
    ['nesting beyond any stack', entry(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)},"type":"x"}`)],
  ])('%s is refused', (_, bytes) => {
    expect(refusal(() => parseEntry(bytes)).code).toBe('LEDGER_INVALID');
  });
});

describe('what an audit compares', () => {
  const metrics = (text: string) => JSON.parse(text) as Json;

  test.each([
    ['a member that is null where none belongs', '{"a":1}', '{"a":1,"b":null}', 'b'],
    ['a member that is missing where null belongs', '{"a":1,"b":null}', '{"a":1}', 'b'],
    ['a member that objects inherit', '{"a":1}', '{"__proto__":{},"a":1}', '__proto__'],
    ['one that lies deeper', '{"a":{"b":[1,2]}}', '{"a":{"b":[1,2,null]}}', 'a.b.2'],
  ])('%s is named', (_, expected, got, path) => {
    expect(firstDifference(metrics(expected), metrics(got), '')?.path).toBe(path);
  });

  test('minus zero is zero, as in JSON', () => {
    expect(firstDifference({ a: -0 }, { a: 0 }, '')).toBeNull();
  });
});

describe('a verdict', () => {
  let network: TestNetwork;

  beforeEach(() => {
    network = new TestNetwork();
  });

  afterEach(() => {
    network.remove();
  });

  test('with a metric that parsers pass over is refused', async () => {
    network.take(network.miner.enrol(0));
    for (const _ of ['enrol', 'commit', 'opening']) await network.close(0);
    const verdict = (await network.closer(0)) as VerdictBody;
    const text = JSON.stringify(network.closing(verdict));
    const doctored = JSON.parse(text.replace('"metrics":{', '"metrics":{"__proto__":{},')) as LedgerEntry;
    expect(refusal(() => network.state.apply(doctored)).code).toBe('LEDGER_INVALID');
    network.state.apply(JSON.parse(text) as LedgerEntry);
  });

  test('fits into an entry however many miners the rules let into its window, and whatever it says of them', () => {
    const body = network.closing({
      type: 'verdict',
      window: 2 ** 40,
      results: worstResults(maxEnrolled(network.genesis), network.genesis.architecture.observation),
      rewardRoot: named('rewards'),
      update: {
        version: 2 ** 40,
        policyRoot: named('policy'),
        trainerStateRoot: named('trainer'),
        patch: { hash: named('patch'), bytes: 2 ** 40 },
        anchor: { hash: named('anchor'), bytes: 2 ** 40 },
        fullBytes: 2 ** 40,
        metrics: Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`metric ${i}`, -1 / 3e99])),
      },
    });
    expect(entryBytes(body).length).toBeLessThanOrEqual(MAX_ENTRY_BYTES);
  });

  test('a window takes as many miners as its verdict has room for; who is in may still be convicted', () => {
    const { enrolments } = network.state.window(0)!;
    network.take(network.miner.enrol(0));
    const message = network.miner.enrol(0);
    for (let i = 1; i < maxEnrolled(network.genesis); i++) {
      const miner: Hex = `0x${i.toString(16).padStart(40, '0')}`;
      enrolments.add({ message: { ...message, miner }, miner, digest: new Uint8Array(32), index: 0 });
    }
    expect(refusal(() => network.take(network.other.enrol(0))).code).toBe('TOO_MANY_REQUESTS');
    network.take(network.miner.enrol(0, 4));
    expect(enrolments.conflict(KEYS.miner.address)).toBeDefined();
  });
});

/** Results as long as they can be. */
function worstResults(count: number, observation: number): MinerResult[] {
  const long = toHex(new Uint8Array(Math.max(32, observation)).fill(0xff));
  return Array.from({ length: count }, (_, i) => ({
    miner: `0x${i.toString(16).padStart(40, '0')}` as Hex,
    slots: 65_536,
    trained: false,
    credit: Number.MAX_SAFE_INTEGER,
    rejection: {
      code: 'POLICY_ROOT_MISMATCH' as const,
      slot: 65_535,
      step: 1_048_575,
      part: 4_095,
      expected: `all 4294967296 actions of policy ${long} and more`,
      got: long,
    },
    meanReturn: -1 / 3e99,
    proofs: 4_096,
  }));
}

test('the room for a result grows with the observations that it may quote', () => {
  const wide = { architecture: { ...tinyGenesis().architecture, observation: 1024 } };
  const most = maxEnrolled(wide);
  expect(most).toBeGreaterThan(1_000);
  const results = worstResults(most, 1024);
  expect(utf8(JSON.stringify(results)).length).toBeLessThanOrEqual(MAX_ENTRY_BYTES - 65_536);
});
