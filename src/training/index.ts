import { activate, startTfjs } from '../backends/tfjs/engine.ts';
import { checkTrainingWasm } from '../backends/wasm-binary.ts';
import type { Policy } from '../policy/architecture.ts';
import { checkShifts } from '../policy/quantiser.ts';
import { exactActor, type MakeActor } from './actor.ts';
import { grpoUpdate } from './grpo.ts';
import { initialise, type TrainingParams } from './initialise.ts';
import { ppoUpdate } from './ppo.ts';
import type { TrainerState } from './state.ts';
import type { UpdateInput, UpdateResult } from './update.ts';

export type { Actor, ForwardPass, MakeActor } from './actor.ts';
export { initialise, type TrainingParams } from './initialise.ts';
export type { UpdateMetrics } from './metrics.ts';
export {
  decodeTrainerState,
  encodeTrainerState,
  type TrainerState,
  trainerStateRoot,
  trainerStateRootOfBytes,
} from './state.ts';
export type { UpdateInput, UpdateResult } from './update.ts';

/**
 * Trains the policy of one network: what the verifier runs and what an audit recomputes. Deterministic to the bit.
 *
 * @example
 * const trainer = await createTrainer(genesis);
 * let { policy, state } = trainer.initialise();
 * const behaviour = policy;
 * ({ policy, state } = trainer.update({ policy, state, behaviour, staleness: 0, rollouts, logits, shuffleSeed }));
 */
export interface Trainer {
  /** Policy 0 and the trainer state that belongs to it. */
  initialise(): { policy: Policy; state: TrainerState };
  /** The next policy and state. Synchronous; it takes seconds on big windows, so a server runs it in a worker. */
  update(input: UpdateInput): UpdateResult;
  dispose(): void;
}

/** What of a genesis document training depends on. */
export interface TrainerGenesis extends TrainingParams {
  /** SHA-256 of the TensorFlow.js wasm binary, as hex. */
  readonly trainingWasm: string;
}

/**
 * Starts the pinned wasm backend and gives the trainer of a network, in the main thread or in a worker.
 * @param makeActor what is differentiated: another one than the exact policy only to compare with it
 * @throws GrailError WASM_NOT_PINNED when this machine's binary is not the one of genesis.
 * @throws GrailError GENESIS_INVALID when the shifts of the architecture are not those of the quantiser.
 * @throws GrailError BACKEND_UNAVAILABLE when the wasm backend does not start.
 */
export async function createTrainer(
  genesis: TrainerGenesis,
  makeActor: MakeActor = exactActor,
): Promise<Trainer> {
  checkTrainingWasm(genesis.trainingWasm);
  checkShifts(genesis);
  const tf = await startTfjs('wasm');
  return {
    initialise: () => initialise(genesis),
    update(input) {
      activate('wasm');
      const { algorithm } = genesis;
      return algorithm.name === 'ppo'
        ? ppoUpdate(tf, { ...genesis, algorithm }, makeActor, input)
        : grpoUpdate(tf, { ...genesis, algorithm }, makeActor, input);
    },
    dispose() {},
  };
}
