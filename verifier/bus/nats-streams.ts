import {
  AckPolicy,
  type ConsumerConfig,
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import { JOB_KINDS, type JobSettings } from './bus.ts';
import { MAX_DEAD_BYTES, MAX_DEAD_LETTERS, MAX_QUEUED_BYTES } from './limits.ts';
import { type NatsNames, WORKERS } from './nats-names.ts';

/** Results that are kept, in bytes: the oldest go first. The server sets such room aside when a stream is made. */
const MAX_RESULT_BYTES = 536_870_912;

/** JetStream's code for a stream that exists with another configuration. */
const OTHER_CONFIGURATION = 10_058;

/**
 * Makes what the queue needs on the server, or brings it to these settings; does nothing where all is as it should be.
 * Only what nats-server 2.9 knows.
 */
export async function makeStreams(
  jsm: JetStreamManager,
  names: NatsNames,
  settings: JobSettings,
): Promise<void> {
  const { capacity, keepMs, leaseMs } = settings;
  const ends = { max_age: nanos(keepMs), max_msgs_per_subject: 1, discard: DiscardPolicy.Old };
  await Promise.all([
    makeStream(jsm, {
      name: names.resultStream,
      subjects: [names.end('*', '*', 'result')],
      max_bytes: MAX_RESULT_BYTES,
      ...ends,
    }),
    makeStream(jsm, {
      name: names.deadStream,
      subjects: [names.end('*', '*', 'dead')],
      max_msgs: MAX_DEAD_LETTERS,
      max_bytes: MAX_DEAD_BYTES,
      ...ends,
    }),
    ...JOB_KINDS.map(async (kind) => {
      await makeStream(jsm, {
        name: names.jobStream(kind),
        subjects: [names.job(kind, '*')],
        retention: RetentionPolicy.Workqueue,
        max_msgs: capacity,
        max_bytes: MAX_QUEUED_BYTES,
        discard: DiscardPolicy.New,
        // An id that is queued is not taken again.
        max_msgs_per_subject: 1,
        discard_new_per_subject: true,
      });
      await jsm.consumers.add(names.jobStream(kind), {
        durable_name: WORKERS,
        ack_policy: AckPolicy.Explicit,
        ack_wait: nanos(leaseMs),
        max_ack_pending: capacity,
        // Workers count deliveries themselves: what the server gives up lies in its stream for ever and is told to nobody.
        max_deliver: -1,
      } satisfies Partial<ConsumerConfig>);
    }),
  ]);
}

async function makeStream(
  jsm: JetStreamManager,
  config: Partial<StreamConfig> & { readonly name: string },
): Promise<void> {
  const whole = { ...config, storage: StorageType.File };
  try {
    await jsm.streams.add(whole);
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== OTHER_CONFIGURATION) throw error;
    await jsm.streams.update(config.name, whole);
  }
}
