import { activate, startTensorflow } from '../backends/tensorflow.ts';
import { checkTrainingWasm } from '../backends/wasm-binary.ts';
import type { Policy } from '../policy/architecture.ts';
import { layerExponents } from '../policy/quantiser.ts';
import { GrailError } from '../protocol/errors.ts';
import { initialise, type TrainingParams } from './initialise.ts';
import { ppoUpdate, type UpdateInput, type UpdateResult } from './ppo.ts';
import type { TrainerState } from './state.ts';

export { initialise, type TrainingParams } from './initialise.ts';
export type { UpdateMetrics } from './metrics.ts';
export type { UpdateInput, UpdateResult } from './ppo.ts';
export { decodeTrainerState, encodeTrainerState, type TrainerState, trainerStateRoot } from './state.ts';

/**
 * Trains the policy of one network: what the verifier runs and what an audit recomputes. Deterministic to the bit.
 *
 * @example
 * const trainer = await createTrainer(genesis);
 * let { policy, state } = trainer.initialise();
 * ({ policy, state } = trainer.update({ policy, state, rollouts, logits, shuffleSeed }));
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

const ALGORITHMS = { ppo: ppoUpdate } as const;

/**
 * Starts the pinned wasm backend and gives the trainer of a network, in the main thread or in a worker.
 * @throws GrailError WASM_NOT_PINNED when this machine's binary is not the one of genesis.
 * @throws GrailError GENESIS_INVALID when the shifts of the architecture are not those of the quantiser.
 * @throws GrailError BACKEND_UNAVAILABLE when the wasm backend does not start.
 */
export async function createTrainer(genesis: TrainerGenesis): Promise<Trainer> {
  checkTrainingWasm(genesis.trainingWasm);
  checkShifts(genesis);
  const tf = await startTensorflow('wasm');
  const algorithm = ALGORITHMS[genesis.algorithm.name];
  return {
    initialise: () => initialise(genesis),
    update(input) {
      activate('wasm');
      return algorithm(tf, genesis, input);
    },
    dispose() {},
  };
}

/** The straight-through gradient is that of real units only when a shift takes one exponent to the next. */
function checkShifts({ architecture, quantiser }: TrainingParams): void {
  const exponents = layerExponents(quantiser);
  for (const [index, layer] of architecture.layers.entries()) {
    const { accumulator, output } = exponents[index]!;
    if (layer.shift !== accumulator - output) {
      throw new GrailError(
        'GENESIS_INVALID',
        `layer ${index}: the shift does not fit the quantiser's exponents`,
        {
          layer: index,
          expected: accumulator - output,
          got: layer.shift,
        },
      );
    }
  }
}
