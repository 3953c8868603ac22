import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { packageVersion } from '../../src/storage/package-root.ts';
import type { HealthChecks } from '../health.ts';
import { httpMetrics } from './http.ts';
import { ledgerMetrics } from './ledger.ts';
import { networkMetrics } from './network.ts';
import { queueMetrics } from './queues.ts';
import { storageMetrics } from './storage.ts';
import { workMetrics } from './work.ts';

export { observeBus } from './observed-bus.ts';
export { observeBlobs, observeDatabase } from './observed-storage.ts';

/**
 * Everything that a process of the verifier counts, in a registry of its own (docs/guides/watching.md). Labels have
 * bounded sets of values: types, codes, routes, kinds, never an address of a miner or a client.
 */
export type VerifierMetrics = ReturnType<typeof createMetrics>;

export function createMetrics() {
  const registry = new Registry();
  let collecting: Promise<string> | null = null;
  let health: HealthChecks | null = null;
  new Gauge({
    name: 'grail_check_ready',
    help: '1 where a check of /readyz passes, else 0.',
    labelNames: ['check'],
    registers: [registry],
    collect() {
      for (const { check, ok } of health?.readiness().checks ?? []) this.set({ check }, ok ? 1 : 0);
    },
  });
  return {
    registry,
    http: httpMetrics(registry),
    ledger: ledgerMetrics(registry),
    network: networkMetrics(registry),
    work: workMetrics(registry),
    storage: storageMetrics(registry),
    queues: queueMetrics(registry),
    watchHealth(checks: HealthChecks): void {
      health = checks;
    },
    /** All metrics in Prometheus’s text format; whoever asks meanwhile gets the same answer. */
    text(): Promise<string> {
      collecting ??= registry.metrics().finally(() => {
        collecting = null;
      });
      return collecting;
    },
  };
}

/** Adds what prom-client knows of the process (memory, processor, event loop), and which version and role it is. Once a process. */
export function watchProcess(metrics: VerifierMetrics, role: string): void {
  const { registry } = metrics;
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'grail_process_info',
    help: 'Version of GRAIL and role of the process; always 1.',
    labelNames: ['version', 'role'],
    registers: [registry],
  }).set({ version: packageVersion(), role }, 1);
}
