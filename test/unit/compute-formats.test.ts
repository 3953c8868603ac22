import { describe, expect, test } from 'vitest';
import type { Opening } from '../../src/proofs/opening.ts';
import { type Hex, utf8 } from '../../src/protocol/bytes.ts';
import {
  evaluateJobSchema,
  fromJob,
  fromOpening,
  proofsJobSchema,
  replayJobSchema,
  toJob,
  toOpening,
  trainJobSchema,
} from '../../verifier/compute/formats.ts';
import { named } from '../helpers/network.ts';

const policy = { hash: named('anchor'), root: named('root') };
const miner: Hex = `0x${'ab'.repeat(20)}`;

/** A valid job of each kind. */
const jobs = {
  replay: {
    schema: replayJobSchema,
    job: {
      window: 3,
      windowSeed: named('window'),
      challengeSeed: named('challenge'),
      policy,
      earlier: [policy],
      commit: { miner, slots: 2, actions: '0x00ff', commitRoot: named('commit') },
      round: 0,
    },
  },
  train: {
    schema: trainJobSchema,
    job: {
      window: 3,
      policyVersion: 2,
      commitPhaseRoot: named('phase'),
      base: policy,
      behaviour: policy,
      trainerState: named('state'),
      debt: { anchorBytes: 1, patchBytes: 2, versions: 3 },
      accepted: [named('rollouts')],
      round: 0,
    },
  },
  proofs: {
    schema: proofsJobSchema,
    job: { shared: [named('signal')], proofs: [{ first: named('first'), proof: '0xaa' }] },
  },
  evaluate: { schema: evaluateJobSchema, job: { policy, episodes: 100, round: 0 } },
};

describe.each(Object.entries(jobs))('a %s job', (_, { schema, job }) => {
  test('comes back as it was', () => {
    expect(fromJob(schema, toJob(job))).toEqual(job);
  });

  test('with a field that is not known is refused', () => {
    expect(() => fromJob(schema, toJob({ ...job, more: 1 }))).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST' }),
    );
  });

  test.each(Object.keys(job))('without %s is refused, and the message names it', (key) => {
    const { [key]: _left, ...rest } = job as Record<string, unknown>;
    expect(() => fromJob(schema, toJob(rest))).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST', message: expect.stringContaining(key) }),
    );
  });
});

test.each([
  ['not JSON', utf8('{')],
  ['not UTF-8', Uint8Array.of(0xff, 0xfe)],
  ['empty', new Uint8Array()],
])('a job that is %s is refused', (_, bytes) => {
  expect(() => fromJob(evaluateJobSchema, bytes)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }));
});

const steps = [
  { observation: Int8Array.of(1, -127), noise: Int32Array.of(5, -6), action: 1 },
  { observation: Int8Array.of(127, 0), noise: Int32Array.of(-2_147_483_648, 0), action: 0 },
];

/** Two parts of a step each. */
const opening: Opening = {
  challenges: [
    { slot: 0, step: 4 },
    { slot: 1, step: 2 },
  ],
  steps,
  observations: '0x01817f00',
  parts: [
    { context: 7n, steps: [steps[0]!], traceDigest: 9n },
    { context: 8n, steps: [steps[1]!], traceDigest: 10n },
  ],
};

describe('an opening', () => {
  test('comes back as it was, through JSON', () => {
    const sent = JSON.parse(JSON.stringify(toOpening(opening)));
    expect(fromOpening(sent)).toEqual(opening);
  });

  const sent = toOpening(opening);
  test.each([
    ['an action less than steps', { ...sent, actions: [1] }],
    ['noise of a step more', { ...sent, noise: [...sent.noise, [1, 2]] }],
    ['observations that cannot be divided', { ...sent, observations: '0x01817f' as Hex }],
    ['no observations', { ...sent, observations: '0x' as Hex }],
    ['parts that cannot be divided', { ...sent, parts: [...sent.parts, sent.parts[0]!] }],
    ['no parts', { ...sent, parts: [] }],
  ])('with %s is refused', (_, damaged) => {
    expect(() => fromOpening(damaged)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }));
  });
});
