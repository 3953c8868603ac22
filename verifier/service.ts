import { hostname } from 'node:os';
import { type Ledger, openLedger } from '../src/ledger/log.ts';
import { openMirror } from '../src/ledger/mirror.ts';
import { genesisHash } from '../src/params/genesis.ts';
import { type KeySources, loadNetworkKey } from '../src/proofs/network-key.ts';
import { toHex } from '../src/protocol/bytes.ts';
import { GrailError } from '../src/protocol/errors.ts';
import { genesisOf } from '../src/replica/genesis-of.ts';
import type { LedgerDatabase, LedgerWriter } from '../src/storage/ledger-database.ts';
import type { JobKind } from './bus/bus.ts';
import { Closers } from './closers.ts';
import { ComputePool } from './compute/compute-pool.ts';
import type { Role, VerifierConfig } from './config.ts';
import type { NetworkDirectory } from './directory.ts';
import { createGateway } from './gateway.ts';
import { busCheck, HealthChecks, leaseCheck } from './health.ts';
import { startJobWorkers } from './jobs/job-worker.ts';
import type { Log } from './log.ts';
import { createMetrics, observeBlobs, observeBus, observeDatabase, watchProcess } from './metrics/index.ts';
import { startOperatorServer } from './operator-server.ts';
import { EMBEDDED, openBlobs, openBus, openDatabase, openWork, type Places } from './roles/backends.ts';
import type { RoleContext } from './roles/context.ts';
import { startFollowing } from './roles/gateway.ts';
import { makeSequencer } from './roles/sequencer.ts';
import { openDesk } from './roles/sequencer-desk.ts';
import type { Sequencer } from './sequencer.ts';
import type { SequencerView } from './types.ts';

/** A running process of a verifier. */
export interface Verifier {
  /** Where it listens: a gateway for everybody, or health and metrics alone. */
  readonly url: string;
  /** The one writer, where this process is it. */
  readonly sequencer: Sequencer | null;
  /** Resolves when the run is over, rejects when the process cannot go on. */
  readonly done: Promise<void>;
  stop(): Promise<void>;
}

export interface VerifierParts {
  readonly log: Log;
  /** Where keys come from. */
  readonly artefacts?: KeySources;
  /** A process of its own folder and bus unless given. */
  readonly places?: Places;
  /** Everything unless given. */
  readonly role?: Role;
  /** Gives up waiting: for a lease, for a database that is away. */
  readonly signal?: AbortSignal;
}

/** What roles compute. */
const JOBS: Record<Role, readonly JobKind[]> = {
  all: ['replay', 'proofs', 'train', 'evaluate'],
  sequencer: [],
  gateway: [],
  checker: ['replay', 'proofs', 'evaluate'],
  trainer: ['train'],
};

/** How long computations that are under way may take when a process stops; then others do them. */
const JOB_GRACE_MS = 2_000;

/**
 * Starts a process of a network's verifier. A sequencer replays the ledger and takes up where it ends; where the ledger is
 * shared it first waits for the lease of the one before.
 * @param directory the operator's secrets, and what is in no shared place
 * @throws GrailError ALREADY_RUNNING, LEDGER_CORRUPT, LEDGER_INVALID, KEY_MISMATCH, KEY_INSECURE, GENESIS_MISMATCH,
 *   STORAGE_UNAVAILABLE, USAGE
 */
export async function startVerifier(
  directory: NetworkDirectory,
  config: VerifierConfig,
  parts: VerifierParts,
): Promise<Verifier> {
  const { log, places = EMBEDDED, role = 'all' } = parts;
  checkPlaces(role, places);
  const closers = new Closers();
  const stopping = new AbortController();
  const signal = parts.signal ? AbortSignal.any([parts.signal, stopping.signal]) : stopping.signal;
  const stop = async () => {
    stopping.abort();
    await closers.close();
  };
  try {
    const metrics = createMetrics();
    const health = new HealthChecks();
    watchProcess(metrics, role);
    metrics.watchHealth(health);
    const opened = await openDatabase(places);
    const database = opened === null ? null : observeDatabase(opened, metrics.storage);
    if (database !== null) closers.add(() => database.close());
    const serves = role === 'all' || role === 'gateway';
    const operator = serves ? null : await startOperatorServer({ ...config, log, health, metrics });
    if (operator !== null) closers.add(() => operator.stop());
    const blobs = await openBlobs(places, directory);
    const ledger = await openRoleLedger(role, directory, config, { database, signal, log, health, closers });
    const genesis = genesisOf(ledger.ledger);
    const bus = observeBus(await openBus(places, genesis, `grail-${role}`, signal), metrics.work);
    closers.add(() => bus.close());
    if (places.bus !== null) health.register('bus', () => busCheck(bus));
    const context: RoleContext = {
      config,
      genesis,
      blobs: observeBlobs(blobs, metrics.storage),
      work: await openWork(places, genesis),
      bus,
      log,
      metrics,
      health,
      closers,
      signal,
      keys: { keyFolder: directory.keysPath, ...parts.artefacts },
    };
    const fatal = Promise.withResolvers<never>();
    fatal.promise.catch(() => {});
    let sequencer: Sequencer | null = null;
    if (role === 'all' || role === 'sequencer') {
      await directory.blobs.clearTemporary();
      sequencer = await makeSequencer({
        ...context,
        directory,
        ledger: ledger.ledger,
        writer: ledger.writer,
      });
      const { stop: stopSequencer } = sequencer;
      closers.add(stopSequencer.bind(sequencer));
      if (places.bus !== null) {
        const desk = openDesk(sequencer, bus);
        closers.add(() => desk.close());
      }
    }
    if (JOBS[role].length > 0) await startComputing(role, context);
    let url = operator?.url ?? '';
    if (serves) {
      const view = sequencer ?? startFollowing(context, ledger.mirror!, fatal.reject);
      url = await startGateway(context, view);
    }
    log.info('listening', {
      url,
      role,
      network: toHex(genesisHash(genesis)),
      entries: ledger.ledger.size,
    });
    if (genesis.insecureDev)
      log.warn('insecure-dev: keys and beacon of this network are for development only');
    const run = sequencer === null ? fatal.promise : Promise.race([sequencer.run(), fatal.promise]);
    const done = run.catch((error: Error) => {
      health.failed(error);
      throw error;
    });
    done.catch(() => {});
    return { url, sequencer, done, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** @throws GrailError USAGE */
function checkPlaces(role: Role, places: Places): void {
  if (role === 'all') {
    if ((places.bus === null) === (places.database === null)) return;
    if (places.database !== null) return;
    throw new GrailError('USAGE', '--bus without --database: other processes could not read the ledger', {
      flag: '--database',
    });
  }
  for (const flag of ['bus', 'database', 'blobs'] as const) {
    if (places[flag] !== null) continue;
    throw new GrailError(
      'USAGE',
      `--role ${role} is one of several processes: say where they meet with --${flag}`,
      {
        flag: `--${flag}`,
      },
    );
  }
}

interface RoleLedger {
  readonly ledger: Ledger;
  readonly writer: LedgerWriter | null;
  readonly mirror: Awaited<ReturnType<typeof openMirror>> | null;
}

/** The ledger of a role: the file of the folder, or a copy of the shared one; a writer's after it has the lease. */
async function openRoleLedger(
  role: Role,
  directory: NetworkDirectory,
  config: VerifierConfig,
  parts: Pick<RoleContext, 'signal' | 'log' | 'health' | 'closers'> & {
    readonly database: LedgerDatabase | null;
  },
): Promise<RoleLedger> {
  const { database, signal, log, health, closers } = parts;
  if (database === null) {
    const ledger = openLedger(directory.ledgerPath, genesisHash(directory.genesis()));
    closers.add(() => ledger.close());
    return { ledger, writer: null, mirror: null };
  }
  let writer: LedgerWriter | null = null;
  if (role === 'all' || role === 'sequencer') {
    health.register('lease', () => leaseCheck(writer !== null));
    writer = await database.acquire({
      holder: `${hostname()} ${process.pid}`,
      ttlMs: config.leaseMs,
      signal,
      onWait: (holder) => log.info(`standby: ${holder} holds the lease`, { database: database.name }),
    });
    const held = writer;
    closers.add(() => held.release());
    log.info('has the lease', { epoch: held.epoch, database: database.name });
  }
  const mirror = await openMirror(database, {
    signal,
    onProgress: (entries) => log.info('copying the ledger', { entries }),
  });
  closers.add(() => mirror.close());
  return { ledger: mirror.ledger, writer, mirror };
}

async function startComputing(role: Role, context: RoleContext): Promise<void> {
  const { genesis, config, bus, work, keys, closers } = context;
  const { verificationKey } = await loadNetworkKey(genesis, keys);
  const pool = new ComputePool(genesis, verificationKey, config.threads);
  const workers = startJobWorkers({ queue: bus.jobs, stores: work, pool, kinds: JOBS[role] });
  closers.add(async () => {
    await workers.stop({ graceMs: JOB_GRACE_MS });
    await pool.close();
  });
}

async function startGateway(context: RoleContext, view: SequencerView): Promise<string> {
  const { blobs, config, log, metrics, health, closers } = context;
  metrics.network.follow(view, () => performance.now());
  const gateway = createGateway({
    sequencer: view,
    blobs,
    host: config.host,
    port: config.port,
    log,
    metrics,
    health,
  });
  const { url } = await gateway.start();
  closers.add(() => gateway.stop());
  return url;
}
