import { afterEach, expect, test } from 'vitest';
import { GrailError } from '../../src/protocol/errors.ts';
import type { LedgerWriter } from '../../src/storage/ledger-database.ts';
import { TestSequencer } from '../helpers/sequencer.ts';

let sequencer: TestSequencer | undefined;

afterEach(() => sequencer?.stop());

/** A lease that is lost whenever its promise says so. */
const leaseOf = (lost: Promise<Error>): LedgerWriter => ({
  epoch: 1,
  lost,
  append: async () => {},
  release: async () => {},
});

const leaseLost = new GrailError('LEASE_LOST', 'another process has taken over');

test('a sequencer whose lease was lost before it ran ends, and does not live on as one that can write nothing', async () => {
  sequencer = new TestSequencer({}, undefined, leaseOf(Promise.resolve(leaseLost)));
  await expect(sequencer.done).rejects.toBe(leaseLost);
});

test('a sequencer whose lease is lost while it runs ends, and takes no message more', async () => {
  const lost = Promise.withResolvers<Error>();
  sequencer = new TestSequencer({}, undefined, leaseOf(lost.promise));
  const { miner, other } = sequencer.network;
  await sequencer.sequencer.submit(miner.enrol(0));
  lost.resolve(leaseLost);
  await expect(sequencer.done).rejects.toBe(leaseLost);
  await expect(sequencer.sequencer.submit(other.enrol(0))).rejects.toMatchObject({ code: 'LEASE_LOST' });
});
