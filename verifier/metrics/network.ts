import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { EntryBody, LedgerEntry } from '../../src/ledger/entry.ts';
import { CLOSERS, PHASES } from '../../src/protocol/phases.ts';
import type { PolicyUpdate, VerdictBody } from '../../src/replica/bodies.ts';
import type { SequencerView, VerifierEvent } from '../types.ts';
import { watchedGauge } from './watched.ts';

/**
 * What the network does, read from its ledger as it grows: the same in every process that follows it, so take the
 * maximum over processes, not the sum. Counters begin at 0 when a process starts to follow.
 */
export function networkMetrics(registry: Registry) {
  const registers = [registry];
  const ledgerEntries = watchedGauge(registry, 'grail_ledger_entries', 'Entries of the ledger.');
  const entries = new Counter({
    name: 'grail_ledger_appended_entries_total',
    help: 'Entries that were appended, by type.',
    labelNames: ['type'],
    registers,
  });
  const phases = new Histogram({
    name: 'grail_phase_duration_seconds',
    help: 'How long phases were open, as this process saw it.',
    labelNames: ['phase'],
    buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 900, 3600],
    registers,
  });
  const verdicts = new Counter({ name: 'grail_verdicts_total', help: 'Windows with a verdict.', registers });
  const results = new Counter({
    name: 'grail_results_total',
    help: 'Miners in verdicts by outcome: accepted, or the code of the rejection.',
    labelNames: ['outcome'],
    registers,
  });
  const credits = new Counter({
    name: 'grail_credits_total',
    help: 'Credit that verdicts gave, in base units.',
    registers,
  });
  const version = watchedGauge(registry, 'grail_policy_version', 'Version of the newest policy.');
  const meanReturn = new Gauge({
    name: 'grail_policy_mean_return',
    help: 'Mean return of the episodes of the newest verdict’s rollouts.',
    registers,
  });
  const evaluation = watchedGauge(
    registry,
    'grail_policy_evaluation_return',
    'Mean return of the policy that was evaluated last, over fresh episodes.',
  );
  const training = new Gauge({
    name: 'grail_training_update_value',
    help: 'Metrics of the newest update, by their names in docs/guides/algorithms.md.',
    labelNames: ['metric'],
    registers,
  });
  const updates = new Counter({
    name: 'grail_training_updates_total',
    help: 'Updates of the policy by outcome.',
    labelNames: ['outcome'],
    registers,
  });
  const blobs = new Gauge({
    name: 'grail_policy_blob_bytes',
    help: 'Bytes of the newest patch and anchor, and of the whole policy uncompressed (full).',
    labelNames: ['blob'],
    registers,
  });
  meanReturn.remove();

  let watched: SequencerView | null = null;
  const windows = () => watched?.status().windows ?? [];
  new Gauge({
    name: 'grail_open_windows',
    help: 'Windows without a verdict, by phase.',
    labelNames: ['phase'],
    registers,
    collect() {
      this.reset();
      if (watched === null) return;
      for (const phase of PHASES) this.set({ phase }, 0);
      for (const { phase } of windows()) this.inc({ phase });
    },
  });
  new Gauge({
    name: 'grail_open_window_miners',
    help: 'Miners of windows without a verdict, by phase: enrolled, and those whose message the phase waits for (pending).',
    labelNames: ['phase', 'miners'],
    registers,
    collect() {
      this.reset();
      for (const { phase, enrolled, pending } of windows()) {
        this.inc({ phase, miners: 'enrolled' }, enrolled);
        this.inc({ phase, miners: 'pending' }, pending);
      }
    },
  });

  function verdict({ results: all, update }: VerdictBody): void {
    verdicts.inc();
    for (const { rejection, credit } of all) {
      results.inc({ outcome: rejection?.code ?? 'accepted' });
      credits.inc(credit);
    }
    updated(update);
  }

  function updated({ metrics, patch, anchor, fullBytes }: PolicyUpdate): void {
    training.reset();
    for (const [metric, value] of Object.entries(metrics)) {
      if (typeof value === 'number') training.set({ metric }, value);
    }
    if (typeof metrics.outcome === 'string') updates.inc({ outcome: metrics.outcome });
    if (typeof metrics.meanReturn === 'number') meanReturn.set(metrics.meanReturn);
    else meanReturn.remove();
    blobs.set({ blob: 'patch' }, patch.bytes);
    if (anchor !== null) blobs.set({ blob: 'anchor' }, anchor.bytes);
    blobs.set({ blob: 'full' }, fullBytes);
  }

  /** When the present phase of each window began. */
  const began = new Map<number, number>();

  function entry({ window, phase, body }: LedgerEntry, atMs: number): void {
    entries.inc({ type: body.type });
    if (phase === 'genesis' || body.type !== CLOSERS[phase]) return;
    const beganMs = began.get(window);
    if (beganMs !== undefined) phases.observe({ phase }, (atMs - beganMs) / 1000);
    if (isVerdict(body)) {
      began.delete(window);
      verdict(body);
    } else {
      began.set(window, atMs);
      if (phase === 'enrol') began.set(window + 1, atMs);
    }
  }

  return {
    /** Follows a ledger from now on. `now`: milliseconds of a clock that only goes forward. */
    follow(view: SequencerView, now: () => number): void {
      watched = view;
      ledgerEntries(() => view.ledger.size);
      version(() => view.state.versions.length - 1);
      view.subscribe((event: VerifierEvent) => {
        if (event.type === 'entry') entry(event.entry, now());
        else if (event.type === 'evaluation') evaluation(() => event.meanReturn);
      });
    },
  };
}

function isVerdict(body: EntryBody): body is EntryBody & VerdictBody {
  return body.type === 'verdict';
}
