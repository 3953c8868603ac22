import { loadBackend } from '../src/backends/index.ts';
import { type Ledger, openLedger } from '../src/ledger/log.ts';
import type { Genesis } from '../src/params/genesis.ts';
import { type KeySources, loadNetworkKey } from '../src/proofs/network-key.ts';
import { createVerifier } from '../src/proofs/verify.ts';
import { LocalBeacon } from '../src/protocol/beacon.ts';
import { toHex } from '../src/protocol/bytes.ts';
import { GrailError } from '../src/protocol/errors.ts';
import { Identity } from '../src/protocol/identity.ts';
import { anchorDebt } from '../src/replica/anchor-debt.ts';
import { genesisOf } from '../src/replica/genesis-of.ts';
import { type JudgeStart, replayedStart, storedPolicies } from '../src/replica/load-judge.ts';
import { NetworkState } from '../src/replica/state.ts';
import { trainerStateRootOfBytes } from '../src/training/index.ts';
import type { VerifierConfig } from './config.ts';
import type { NetworkDirectory } from './directory.ts';
import { createGateway } from './gateway.ts';
import { JudgeThread } from './judge-thread.ts';
import type { Log } from './log.ts';
import { Sequencer } from './sequencer.ts';

/** A running verifier. */
export interface Verifier {
  readonly url: string;
  readonly sequencer: Sequencer;
  /** Resolves when the run is over, rejects when it cannot go on. */
  readonly done: Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts the verifier of the network in a directory: replays its ledger, takes up where it ends, and listens.
 * @throws GrailError ALREADY_RUNNING, LEDGER_CORRUPT, LEDGER_INVALID, KEY_MISMATCH, KEY_INSECURE, WASM_NOT_PINNED
 */
export async function startVerifier(
  directory: NetworkDirectory,
  config: VerifierConfig,
  parts: { log: Log; artefacts?: KeySources },
): Promise<Verifier> {
  const { log } = parts;
  const genesis = directory.genesis();
  const secrets = await directory.secrets();
  const identity = new Identity(secrets.verifierKey);
  if (!genesis.verifiers.some(({ address }) => address === identity.address)) {
    throw new GrailError('GENESIS_MISMATCH', 'the operator’s key is not a verifier of this network', {
      got: identity.address,
    });
  }
  const beacon = new LocalBeacon(secrets.beaconSecrets);
  const ends = beacon.ends.map(toHex);
  // Otherwise the first value that it draws would stand in the ledger for ever, and no rule would accept it.
  if (ends.join() !== genesis.beacon.ends.join()) {
    throw new GrailError('GENESIS_MISMATCH', 'the operator’s beacon secrets are not those of this network', {
      expected: genesis.beacon.ends,
      got: ends,
    });
  }
  const { verificationKey } = await loadNetworkKey(genesis, {
    keyFolder: directory.keysPath,
    ...parts.artefacts,
  });
  const proofs = await createVerifier(verificationKey);

  const state = new NetworkState(genesis);
  const ledger = openLedger(directory.ledgerPath, state.genesisHash);
  try {
    genesisOf(ledger);
    await directory.blobs.clearTemporary();
    for (const { entry } of ledger.range()) state.apply(entry, { signatureChecked: true });
    const start = await judgeStart(directory, genesis, state, ledger, log);
    const judge = new JudgeThread(genesis, start);
    const sequencer = new Sequencer({
      state,
      ledger,
      writer: null,
      identity,
      beacon,
      judge,
      checkProofs: proofs.verifyMany,
      blobs: directory.blobs,
      keepTrainerState: (version, bytes) => directory.keepTrainerState(version, bytes),
      policies: new Map(start.policies),
      config,
      log,
    });
    const gateway = createGateway({
      sequencer,
      blobs: directory.blobs,
      host: config.host,
      port: config.port,
      log,
    });
    const { url } = await gateway.start();
    log.info('listening', { url, network: toHex(state.genesisHash), entries: ledger.size });
    if (genesis.insecureDev)
      log.warn('insecure-dev: keys and beacon of this network are for development only');
    return {
      url,
      sequencer,
      done: sequencer.run(),
      async stop() {
        await sequencer.stop();
        await gateway.stop();
        await judge.stop();
        ledger.close();
      },
    };
  } catch (error) {
    ledger.close();
    throw error;
  }
}

/** The judge's start at the newest verdict: from the store and the cached trainer state, or by replaying everything. */
async function judgeStart(
  directory: NetworkDirectory,
  genesis: Genesis,
  state: NetworkState,
  ledger: Ledger,
  log: Log,
): Promise<JudgeStart> {
  const newest = state.versions.at(-1)!;
  const cached = await directory.trainerState(newest.version);
  if (cached !== null && toHex(trainerStateRootOfBytes(cached)) === newest.trainerStateRoot) {
    const policies = await storedPolicies(state.versions, directory.blobs, genesis);
    return { version: newest.version, policies, trainerState: cached, debt: anchorDebt(state.versions) };
  }
  if (newest.version > 0) {
    log.warn('no trainer state at the newest verdict: training again from the ledger', {
      version: newest.version,
    });
  }
  return replayedStart(genesis, ledger, await loadBackend('simd'), (window) =>
    log.info(`trained window ${window} again`),
  );
}
