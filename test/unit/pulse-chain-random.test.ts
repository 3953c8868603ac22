import { expect, test } from 'vitest';
import { GrailError } from '../../src/protocol/errors.ts';
import { CachedReader, MemoryPulseStore, type Receiver, verifyLog } from '../../src/pulse/chain/index.ts';
import type { MemoryTensors } from '../../src/pulse/index.ts';
import { codeOf, seededRandom } from '../support/pulse.ts';
import {
  bitsOf,
  FaultyStore,
  openPublisher,
  randomState,
  receiverOf,
  trained,
  trust,
} from '../support/pulse-run.ts';

const STEPS = 30;
const SEEDS = process.env.GRAIL_LONG ? 250 : 6;
const fail = () => {
  throw new GrailError('UNREACHABLE', 'no answer');
};

/**
 * A run in which uploads fail, the publisher starts again with all, some or nothing of what it held, blobs get lost, and
 * receivers come, go, restart and fall behind. Whatever a receiver holds is a state that was published; in the end all hold
 * the last one.
 */
test.each(Array.from({ length: SEEDS }, (_, i) => i + 1))(
  'a random chain of 30 steps, seed %i, ends bit-identical everywhere',
  async (seed) => {
    const random = seededRandom(1000 + seed);
    const chance = (percent: number) => random(100) < percent;
    const store = new FaultyStore();
    const cache = new MemoryPulseStore();
    const reader = chance(50) ? new CachedReader(store, cache) : store;
    const cadence = {
      resetEvery: 1 + random(9),
      heldResets: random(5),
      history: chance(80),
      graceManifests: random(8),
    };
    let publisher = await openPublisher({ store, cadence });
    const published = new Map<number, string>();
    const earlier: MemoryTensors[] = [];
    let receivers: Receiver[] = [];
    let target = randomState(random);

    const restart = async () => {
      const held = publisher.held;
      const marks = held?.marks?.clone() ?? null;
      const { state, head } = held ?? {};
      const keepsState = state !== undefined && chance(80);
      const keepsMarks = chance(50);
      publisher = await openPublisher({
        store,
        cadence,
        ...(keepsState ? { held: keepsMarks ? { state, marks, head } : { state } } : {}),
      });
    };
    const reopen = (receiver: Receiver): Receiver => {
      const { held, history, seen } = receiver;
      if (held === null) return receiverOf({ reader });
      const { state, step } = held;
      const { head, marks } = history;
      return receiverOf({
        reader,
        held: chance(50) ? { state, step, head, marks } : { state, step },
        ...(seen === null || chance(50) ? {} : { seen }),
      });
    };

    for (let step = 0; step < STEPS; step++) {
      earlier.push(target);
      if (step > 0) {
        const kind = random(10);
        if (kind === 0) target = earlier[random(earlier.length)]!;
        else if (kind !== 1) target = trained(target, random, kind === 2 ? 900 : 1 + random(60));
      }
      store.beforePut = chance(15) ? fail : null;
      store.beforeAppend = chance(10) ? fail : null;
      store.afterAppend = chance(10) ? fail : null;
      const anchor = chance(5);
      if ((await codeOf(() => publisher.publish(step, target, { anchor }))) !== 'none') {
        if (chance(30)) target = trained(target, random);
        if (chance(30)) await restart();
        store.beforePut = null;
        store.beforeAppend = null;
        store.afterAppend = null;
        // Refused when the step is in the log after all: the next one goes on from there.
        await codeOf(() => publisher.publish(step, target, { anchor }));
      }
      const { last } = publisher;
      expect(last!.step).toBe(step);
      published.set(step, last!.targetId);
      if (chance(10)) await restart();
      if (chance(5)) store.blobs.delete(store.manifests[random(store.manifests.length)]!.blob.hash);
      if (chance(25)) receivers.push(receiverOf({ reader }));
      if (chance(10)) receivers = receivers.filter(() => chance(70));
      for (const [index, receiver] of receivers.entries()) {
        if (chance(15)) receivers[index] = reopen(receiver);
        if (!chance(35)) continue;
        const present = receivers[index]!;
        const before =
          present.held === null ? null : { step: present.held.step, bits: bitsOf(present.held.state) };
        const code = await codeOf(() => present.sync());
        expect(['none', 'PATCH_CHAIN_BROKEN']).toContain(code);
        const { held } = present;
        if (code === 'none') expect(bitsOf(held!.state)).toBe(bitsOf(publisher.held?.state ?? target));
        if (held !== null) {
          expect(held.id).toBe(published.get(held.step));
          if (held.step === before?.step) expect(bitsOf(held.state)).toBe(before.bits);
        }
      }
      expect(verifyLog(store.manifests, trust)).toHaveLength(store.manifests.length);
    }

    store.beforePut = null;
    store.beforeAppend = null;
    store.afterAppend = null;
    target = trained(target, random);
    // The second time, if somebody overtook it while an answer was lost.
    if ((await codeOf(() => publisher.publish(STEPS, target, { anchor: true }))) !== 'none') {
      await publisher.publish(STEPS, target, { anchor: true });
    }
    receivers.push(receiverOf({ reader }));
    for (const receiver of receivers) {
      await receiver.sync();
      expect(receiver.held!.step).toBe(STEPS);
      expect(bitsOf(receiver.held!.state)).toBe(bitsOf(target));
    }
  },
);
