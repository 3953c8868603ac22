import { z } from 'zod';
import { addressSchema } from '../../src/params/genesis.ts';
import { utf8 } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import type { Bus } from '../bus/bus.ts';
import type { Sequencer } from '../sequencer.ts';
import {
  ENTRIES_SUBJECT,
  EVENTS_SUBJECT,
  HEAD_SUBJECT,
  POLICY_SUBJECT,
  RECEIPT_SUBJECT,
  SUBMIT_SUBJECT,
} from './subjects.ts';

/** Messages that gateways may have in the sequencer at one time, and how many more wait. */
const AT_ONCE = 1_024;
const WAITING = 4_096;

const receiptSchema = z.strictObject({ window: z.int().min(0), miner: addressSchema });

/** Serves a sequencer to gateways of the same verifier, and tells everybody what happens. */
export function openDesk(sequencer: Sequencer, bus: Bus): { close(): Promise<void> } {
  const json = (value: unknown) => utf8(JSON.stringify(value));
  const closers = [
    bus.serve(
      SUBMIT_SUBJECT,
      async (bytes) => json(await sequencer.submit(parse(bytes), { vouched: true })),
      { concurrency: AT_ONCE, queue: WAITING },
    ),
    bus.serve(
      RECEIPT_SUBJECT,
      async (bytes) => {
        const { window, miner } = receiptSchema.parse(parse(bytes));
        return json(await sequencer.receipt(window, miner));
      },
      { concurrency: 64, queue: WAITING },
    ),
    bus.serve(HEAD_SUBJECT, async () => json(await sequencer.head()), { concurrency: 64, queue: WAITING }),
  ];
  let told = false;
  const unsubscribe = sequencer.subscribe((event) => {
    if (event.type === 'refused') return;
    if (event.type === 'evaluation') bus.publish(EVENTS_SUBJECT, json(event));
    else {
      if (event.entry.body.type === 'verdict') {
        const { patch, anchor } = sequencer.state.versions.at(-1)!;
        bus.publish(
          POLICY_SUBJECT,
          json([patch, anchor].flatMap((blob) => (blob === null ? [] : [blob.hash]))),
        );
      }
      if (event.index + 1 === sequencer.ledger.size) {
        bus.publish(ENTRIES_SUBJECT, utf8(String(sequencer.ledger.size)));
      }
    }
    if (!told && sequencer.status().finished) {
      told = true;
      bus.publish(EVENTS_SUBJECT, json({ type: 'finished' }));
    }
  });
  return {
    async close() {
      unsubscribe();
      await Promise.all(closers.map((close) => close()));
    },
  };
}

/** @throws GrailError BAD_REQUEST */
function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new GrailError('BAD_REQUEST', 'a request between processes is not JSON');
  }
}
