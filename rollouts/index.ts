/**
 * The miner: makes the rollouts that the network asks of one key, commits to them, and proves challenged steps.
 *
 * @example
 * const client = await VerifierClient.connect({ url: 'http://127.0.0.1:7420' });
 * const miner = createMiner({ client, identity, slots: 16, engine, prover: pool, log: console.log, signal });
 * const { credit } = await miner.run();
 */
export { adviceFor } from './advice.ts';
export { CHEAT_KINDS, CHEATS, type CheatKind, cheat } from './cheats.ts';
export { type ClientOptions, VerifierClient } from './client.ts';
export { commitMessage } from './commit.ts';
export { type Conduct, honest, type WindowContext } from './conduct.ts';
export { Deliverer, type Outcome } from './deliver.ts';
export { Endpoints } from './endpoints.ts';
export {
  inlineEngine,
  type PlayOptions,
  type RolloutEngine,
  type RolloutInput,
  startRolloutEngine,
} from './engine/index.ts';
export { describeEvent, type MinerEvent, type Progress } from './events.ts';
export { type FeedOptions, followLedger } from './feed.ts';
export { checkInLedger, type Inclusion } from './inclusion.ts';
export { measureBackend } from './measure.ts';
export { createMiner, type Miner, type MinerOptions, type MinerSummary } from './miner.ts';
export { dueSteps, type Step } from './plan.ts';
export { type CatchUp, initialPolicy, PolicyStore } from './policies.ts';
export { type BackendChoice, type Candidate, rankBackends, type Workload } from './rank.ts';
export { checkReceipt } from './receipt.ts';
export { MinerStatus, type WindowStatus } from './status.ts';
export { NetworkView, type WindowView } from './view.ts';
export { type Prover, WindowWork } from './work.ts';
