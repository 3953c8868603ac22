import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { codeOf } from './ledger.ts';

export type Store = 'database' | 'blobs';

/** Where entries and blobs lie, and who may write. */
export function storageMetrics(registry: Registry) {
  const registers = [registry];
  const duration = new Histogram({
    name: 'grail_storage_duration_seconds',
    help: 'Time of operations on the ledger database and the blob store, failed ones included.',
    labelNames: ['store', 'operation'],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });
  const errors = new Counter({
    name: 'grail_storage_errors_total',
    help: 'Operations on the ledger database and the blob store that failed, by code.',
    labelNames: ['store', 'operation', 'code'],
    registers,
  });
  const bytes = new Counter({
    name: 'grail_blob_bytes_total',
    help: 'Bytes of blobs that were read from (get) and written to (put) the store.',
    labelNames: ['operation'],
    registers,
  });
  const held = new Gauge({
    name: 'grail_lease_held',
    help: '1 while this process holds the writer’s lease, else 0.',
    registers,
  });
  const epoch = new Gauge({
    name: 'grail_lease_epoch',
    help: 'Number of the lease that this process acquired last; it counts up with every acquisition.',
    registers,
  });
  held.remove();
  epoch.remove();
  return {
    /** Times an operation and counts its failure. */
    async timed<T>(store: Store, operation: string, work: () => Promise<T>): Promise<T> {
      const end = duration.startTimer({ store, operation });
      // A counter that begins with 1 would show no increase.
      errors.inc({ store, operation, code: 'STORAGE_UNAVAILABLE' }, 0);
      try {
        return await work();
      } catch (error) {
        errors.inc({ store, operation, code: codeOf(error) });
        throw error;
      } finally {
        end();
      }
    },
    blobBytes(operation: 'get' | 'put', count: number): void {
      bytes.inc({ operation }, count);
    },
    leaseAcquired(number: number): void {
      held.set(1);
      epoch.set(number);
    },
    leaseGone(): void {
      held.set(0);
    },
  };
}

export type StorageMetrics = ReturnType<typeof storageMetrics>;
