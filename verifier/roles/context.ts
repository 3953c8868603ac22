import type { Ledger } from '../../src/ledger/log.ts';
import type { Genesis } from '../../src/params/genesis.ts';
import type { KeySources } from '../../src/proofs/network-key.ts';
import type { BlobStore } from '../../src/storage/blobs.ts';
import type { LedgerWriter } from '../../src/storage/ledger-database.ts';
import type { Bus } from '../bus/bus.ts';
import type { Closers } from '../closers.ts';
import type { VerifierConfig } from '../config.ts';
import type { NetworkDirectory } from '../directory.ts';
import type { HealthChecks } from '../health.ts';
import type { WorkStores } from '../jobs/work-stores.ts';
import type { Log } from '../log.ts';
import type { VerifierMetrics } from '../metrics/index.ts';

/** What every role of a verifier works with. */
export interface RoleContext {
  readonly config: VerifierConfig;
  readonly genesis: Genesis;
  readonly blobs: BlobStore;
  /** What processes of the verifier hand each other. */
  readonly work: WorkStores;
  readonly bus: Bus;
  readonly log: Log;
  readonly metrics: VerifierMetrics;
  readonly health: HealthChecks;
  /** What ends with the process. */
  readonly closers: Closers;
  /** Aborted when the process stops. */
  readonly signal: AbortSignal;
  readonly keys: KeySources;
}

/** What the one writer has besides. */
export interface WriterContext extends RoleContext {
  readonly directory: NetworkDirectory;
  readonly ledger: Ledger;
  /** The lease of a shared database; null where the ledger is a file of this process. */
  readonly writer: LedgerWriter | null;
}
