import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { packActions, unpackActions } from '../../src/protocol/actions.ts';
import { checkBeacon, LocalBeacon } from '../../src/protocol/beacon.ts';
import { fromHex, type Hex, toHex, utf8 } from '../../src/protocol/bytes.ts';
import { challengeSeed, drawChallenges } from '../../src/protocol/challenges.ts';
import { commitRoot, rolloutDigests } from '../../src/protocol/commitment.ts';
import { sha256, tag } from '../../src/protocol/hash.ts';
import { Identity } from '../../src/protocol/identity.ts';
import { checkSignature, messageDigest, signMessage, type Unsigned } from '../../src/protocol/messages.ts';
import { phaseRoot } from '../../src/protocol/phases.ts';
import { minerSeeds, windowSeed } from '../../src/protocol/seeds.ts';
import { rewardRoot } from '../../src/replica/credit.ts';

/**
 * The vectors of docs/PROTOCOL.md: what this code computes is what the document promises to a second implementation.
 */
const document = readFileSync(new URL('../../docs/PROTOCOL.md', import.meta.url), 'utf8');
const bytes = (value: number, length = 32) => new Uint8Array(length).fill(value);
const genesisHash = bytes(7);
const domain = { chainId: 0, genesisHash };
const miner = new Identity(bytes(1));
const address = fromHex(miner.address);
const window = 5;
const root = (value: number) => toHex(bytes(value));

const seed = windowSeed({ genesisHash, window, policyRoot: bytes(2), beacon0: bytes(3) });
const challenge = challengeSeed({ genesisHash, window, beacon1: bytes(4), commitPhaseRoot: bytes(5) });
const seeds = minerSeeds(genesisHash, seed, address);
const messages: Record<string, Unsigned> = {
  register: { type: 'register', miner: miner.address },
  enrol: { type: 'enrol', miner: miner.address, window, slots: 2 },
  commit: {
    type: 'commit',
    miner: miner.address,
    window,
    policyRoot: root(2),
    commitRoot: root(8),
    actions: '0x8d01',
  },
  opening: {
    type: 'opening',
    miner: miner.address,
    window,
    challengeSeed: toHex(challenge),
    traceDigests: [root(9)],
    observations: '0x01ff7f81',
  },
  proof: { type: 'proof', miner: miner.address, window, part: 0, proof: '0x0a0b' },
};
const digest = (type: string) => messageDigest(domain, messages[type]!);
const other: Hex = `0x${'22'.repeat(20)}`;

const vectors: Record<string, string> = {
  'tag("window")': toHex(tag('window')),
  windowSeed: toHex(seed),
  'task seed of group 0, episode 1': toHex(seeds.task(0, 1)),
  'sample seed of slot 1': toHex(seeds.sample(1)),
  'environment seed of slot 1': toHex(seeds.environment(1)),
  challengeSeed: toHex(challenge),
  'four challenges, 2 slots, T = 256': drawChallenges({
    genesisHash,
    seed: challenge,
    address,
    slots: 2,
    stepsPerSlot: 256,
    count: 4,
  })
    .map(({ slot, step }) => `(${slot}, ${step})`)
    .join(' '),
  'actions 1 0 1 1 0 0 0 1 1 of 2, packed': toHex(packActions(Uint16Array.of(1, 0, 1, 1, 0, 0, 0, 1, 1), 2)),
  'actions 0 1 2 2 1 of 3, packed': toHex(packActions(Uint16Array.of(0, 1, 2, 2, 1), 3)),
  'rollout digest of slot 0: 2 steps, observations 1 −1 and 127 −127, actions 1 0 of 2': toHex(
    rolloutDigests(
      { genesisHash, window, address, actions: 2 },
      { slots: 1, steps: 2, observations: Int8Array.of(1, -1, 127, -127), actions: Uint16Array.of(1, 0) },
    )[0]!,
  ),
  'digest of register': toHex(digest('register')),
  'digest of enrol, 2 slots': toHex(digest('enrol')),
  'digest of commit, commitRoot 32 × 0x08, actions 0x8d01': toHex(digest('commit')),
  'digest of opening, that challengeSeed, one digest 32 × 0x09, observations 0x01ff7f81': toHex(
    digest('opening'),
  ),
  'digest of proof, part 0, proof 0x0a0b': toHex(digest('proof')),
  'signature of that enrol': signMessage(domain, miner, messages.enrol!).signature,
  'phase root of that enrol and one of 20 × 0x22 with digest 32 × 0x06': toHex(
    phaseRoot(genesisHash, [
      { miner: other, digest: bytes(6) },
      { miner: miner.address, digest: digest('enrol') },
    ]),
  ),
  'rewardRoot, the miner 5 and 20 × 0x22 with 7': toHex(
    rewardRoot(
      genesisHash,
      new Map([
        [other, 7n],
        [miner.address, 5n],
      ]),
    ),
  ),
  'link of the beacon chain after 32 × 0x01': toHex(sha256(tag('beacon/local'), bytes(1))),
};

describe('the vectors of PROTOCOL.md', () => {
  for (const [name, value] of Object.entries(vectors)) {
    it(`gives ${name} as documented`, () => {
      expect(document).toContain(`| ${name} | \`${value}\` |`);
    });
  }

  it('takes tags over the documented prefix', () => {
    expect(tag('window')).toEqual(sha256(utf8('grail/v1/window')));
  });
});

describe('seeds, challenges and packing', () => {
  it('gives a phase root that does not depend on the order of arrival', () => {
    const a = { miner: other, digest: bytes(6) };
    const b = { miner: miner.address, digest: bytes(8) };
    expect(phaseRoot(genesisHash, [a, b])).toEqual(phaseRoot(genesisHash, [b, a]));
  });

  it('draws every step when as many challenges as steps are asked for, each once, in order', () => {
    const all = drawChallenges({
      genesisHash,
      seed: challenge,
      address,
      slots: 3,
      stepsPerSlot: 7,
      count: 21,
    });
    expect(all.map(({ slot, step }) => slot * 7 + step)).toEqual(Array.from({ length: 21 }, (_, i) => i));
  });

  it('draws other challenges for another commit phase', () => {
    const draw = (from: Uint8Array) =>
      drawChallenges({ genesisHash, seed: from, address, slots: 64, stepsPerSlot: 256, count: 8 });
    const changed = challengeSeed({ genesisHash, window, beacon1: bytes(4), commitPhaseRoot: bytes(6) });
    expect(draw(changed)).not.toEqual(draw(challenge));
  });

  it('unpacks what it packs, and refuses a set padding bit, a missing byte and an action out of range', () => {
    const actions = Uint16Array.of(2, 0, 1, 2, 1);
    const packed = packActions(actions, 3);
    expect(unpackActions(packed, 5, 3)).toEqual(actions);
    const padded = packed.slice();
    padded[1]! |= 0x80;
    expect(() => unpackActions(padded, 5, 3)).toThrow('padding');
    expect(() => unpackActions(packed.subarray(0, 1), 5, 3)).toThrow('length');
    expect(() => unpackActions(Uint8Array.of(0b11), 1, 3)).toThrow('action space');
  });

  it('refuses a signature by another key, and one of another network', () => {
    const enrol = signMessage(domain, miner, messages.enrol!) as Parameters<typeof checkSignature>[0];
    expect(() => checkSignature(enrol, digest('enrol'))).not.toThrow();
    const elsewhere = messageDigest({ chainId: 0, genesisHash: bytes(8) }, enrol);
    expect(() => checkSignature(enrol, elsewhere)).toThrow('signature');
    const forged = signMessage(domain, new Identity(bytes(2)), messages.enrol!) as typeof enrol;
    expect(() => checkSignature(forged, digest('enrol'))).toThrow('signature');
  });
});

describe('the local beacon', () => {
  const beacon = new LocalBeacon([bytes(1), bytes(2)]);
  const genesis = {
    kind: 'local' as const,
    ends: [toHex(beacon.ends[0]), toHex(beacon.ends[1])] as [Hex, Hex],
  };

  it('reveals values that chain back to the ends in genesis', async () => {
    for (const which of [0, 1] as const) {
      let previous: Uint8Array | null = null;
      for (let w = 0; w < 3; w++) {
        const value = await beacon.draw(w, which);
        expect(checkBeacon(genesis, which, value, previous)).toBe(true);
        previous = value;
      }
    }
  });

  it('refuses a value of the other chain, of another window, and one with a bit changed', async () => {
    const value = await beacon.draw(0, 0);
    const changed = value.slice();
    changed[0]! ^= 1;
    expect(checkBeacon(genesis, 1, value, null)).toBe(false);
    expect(checkBeacon(genesis, 0, await beacon.draw(1, 0), null)).toBe(false);
    expect(checkBeacon(genesis, 0, changed, null)).toBe(false);
  });
});

describe('commitRoot', () => {
  it('changes with any observation and any action', () => {
    const context = { genesisHash, window, address, actions: 2 };
    const rollouts = () => ({
      slots: 2,
      steps: 2,
      observations: new Int8Array(8),
      actions: new Uint16Array(4),
    });
    const honest = toHex(commitRoot(rolloutDigests(context, rollouts())));
    const roots = new Set([honest]);
    for (let i = 0; i < 8; i++) {
      const changed = rollouts();
      changed.observations[i] = 1;
      roots.add(toHex(commitRoot(rolloutDigests(context, changed))));
    }
    for (let i = 0; i < 4; i++) {
      const changed = rollouts();
      changed.actions[i] = 1;
      roots.add(toHex(commitRoot(rolloutDigests(context, changed))));
    }
    expect(roots.size).toBe(13);
  });
});
