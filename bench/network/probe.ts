/**
 * Loaded into a verifier's process (`node --expose-gc --import …`): tells the process that started it what it has used.
 * A message of another kind is not for it.
 */
import { isMainThread } from 'node:worker_threads';

/** What a process has used. */
export interface Usage {
  readonly cpuSeconds: number;
  /** Bytes of memory now, and the most that it ever had. */
  readonly rss: number;
  readonly peakRss: number;
  readonly heapUsed: number;
  readonly arrayBuffers: number;
}

/** Asks for the usage; `collect` has garbage collected before. */
export interface UsageRequest {
  readonly usage: { readonly collect: boolean };
}

if (isMainThread && process.send !== undefined) {
  process.on('message', (message: Partial<UsageRequest>) => {
    if (message.usage === undefined) return;
    if (message.usage.collect) globalThis.gc?.();
    const { user, system } = process.cpuUsage();
    const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
    const usage: Usage = {
      cpuSeconds: (user + system) / 1e6,
      rss,
      peakRss: process.resourceUsage().maxRSS * 1024,
      heapUsed,
      arrayBuffers,
    };
    process.send!({ usage });
  });
  // It ends with the benchmark, however that ends, and is not kept alive by being watched.
  process.on('disconnect', () => process.exit());
  process.channel!.unref();
}
