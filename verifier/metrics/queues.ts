import { Gauge, type Registry } from 'prom-client';

/** A queue, buffer or crowd that has a bound. */
export interface BoundedQueue {
  /** What is in it now. */
  readonly depth: () => number;
  readonly limit: number;
}

/** How full everything is that has a bound: above it, work is refused. */
export function queueMetrics(registry: Registry) {
  const gauges = (unit: 'items' | 'bytes', what: string) => {
    const queues = new Map<string, BoundedQueue>();
    const gauge = (name: string, help: string, read: (queue: BoundedQueue) => number) =>
      new Gauge({
        name,
        help,
        labelNames: ['queue'],
        registers: [registry],
        collect() {
          for (const [queue, bounded] of queues) this.set({ queue }, read(bounded));
        },
      });
    gauge(`grail_queue_${unit}`, `${what} in each bounded queue.`, ({ depth }) => depth());
    gauge(`grail_queue_limit_${unit}`, `${what} that each bounded queue takes.`, ({ limit }) => limit);
    return queues;
  };
  const items = gauges('items', 'Items');
  const bytes = gauges('bytes', 'Bytes');
  return {
    /** Shows a queue of items under a name of the code’s own. */
    watchItems(name: string, queue: BoundedQueue): void {
      items.set(name, queue);
    },
    /** Shows a buffer of bytes under a name of the code’s own. */
    watchBytes(name: string, queue: BoundedQueue): void {
      bytes.set(name, queue);
    },
  };
}
