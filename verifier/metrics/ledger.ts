import { Counter, Histogram, type Registry } from 'prom-client';
import type { Code } from '../../src/protocol/codes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import type { Message } from '../../src/protocol/messages.ts';

/** Seconds of what a miner waits for: from a commit on a fast disk to a database that is away. */
const LATENCY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Messages on their way into the ledger. */
export function ledgerMetrics(registry: Registry) {
  const registers = [registry];
  const messages = new Counter({
    name: 'grail_messages_total',
    help: 'Messages by type (unreadable: not one of them) and outcome: acknowledged, or the code of the refusal.',
    labelNames: ['type', 'outcome'],
    registers,
  });
  const latency = new Histogram({
    name: 'grail_acknowledgement_duration_seconds',
    help: 'Time from a message that was read to its acknowledgement, the wait for the disk or database included.',
    buckets: LATENCY_BUCKETS,
    registers,
  });
  const batch = new Histogram({
    name: 'grail_append_batch_entries',
    help: 'Entries that became durable together.',
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
    registers,
  });
  const append = new Histogram({
    name: 'grail_append_duration_seconds',
    help: 'Time in which a batch of entries became durable.',
    buckets: LATENCY_BUCKETS,
    registers,
  });
  return {
    /** Counts a message by what becomes of it, and times its acknowledgement. */
    async message<T>(type: Message['type'], submit: () => Promise<T>): Promise<T> {
      const end = latency.startTimer();
      try {
        const acknowledgement = await submit();
        end();
        messages.inc({ type, outcome: 'acknowledged' });
        return acknowledgement;
      } catch (error) {
        messages.inc({ type, outcome: codeOf(error) });
        throw error;
      }
    },
    /** A message that is none: it reached no rule. */
    unreadable(error: unknown): void {
      messages.inc({ type: 'unreadable', outcome: codeOf(error) });
    },
    /** A batch that is durable. */
    appended(entries: number, seconds: number): void {
      batch.observe(entries);
      append.observe(seconds);
    },
  };
}

export type LedgerMetrics = ReturnType<typeof ledgerMetrics>;

/** The code under which a failure is counted. */
export function codeOf(error: unknown): Code {
  return error instanceof GrailError ? error.code : 'INTERNAL';
}
