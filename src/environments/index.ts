import { GrailError } from '../protocol/errors.ts';
import { acrobot } from './acrobot.ts';
import { cartPole } from './cartpole.ts';
import { countdown } from './countdown.ts';
import type { Environment } from './environment.ts';
import { minatarEnvironments } from './minatar/index.ts';
import { mountainCar } from './mountain-car.ts';
import { sat } from './sat.ts';

export type { Environment, EnvironmentBatch } from './environment.ts';
export { type Evaluation, type Evaluator, evaluate, evaluateLogits } from './evaluate.ts';
export { type SlotRange, SlotRun } from './slot-run.ts';
export {
  type Actor,
  type EpisodeSummary,
  joinRuns,
  type RolloutArrays,
  type Rollouts,
  rolloutArrays,
  runSlots,
  type SlotEnds,
} from './slots.ts';

/** Every environment that a genesis may name. To add one: its file beside this, and a line here. */
const ENVIRONMENTS: readonly Environment[] = [
  cartPole,
  acrobot,
  mountainCar,
  ...minatarEnvironments,
  sat,
  countdown,
];

/** Names of all environments. */
export const environmentIds: readonly string[] = ENVIRONMENTS.map(({ id }) => id);

/** @throws GrailError GENESIS_INVALID when there is no such environment. */
export function environmentById(id: string): Environment {
  const environment = ENVIRONMENTS.find((candidate) => candidate.id === id);
  if (environment !== undefined) return environment;
  throw new GrailError('GENESIS_INVALID', `there is no environment ${id}`, {
    expected: environmentIds.join(', '),
    got: id,
  });
}
