/**
 * The rollout engine: plays a miner's slots of one window with the window's policy, on threads of its own or in the
 * caller's. Whatever the backend, the threads and the batches, the bits are the same.
 *
 * @example
 * const engine = await startRolloutEngine({ candidates: [{ name: 'simd', threads: 2 }], architecture });
 * const rollouts = await engine.play({ genesis, genesisHash, windowSeed, miner, slots: 16, policy });
 * await engine.close();
 */
export { type EngineOptions, type Fallback, startRolloutEngine } from './engine.ts';
export { inlineEngine } from './inline.ts';
export { seedsOf } from './play.ts';
export type { EngineCandidate, PlayedRollouts, PlayOptions, RolloutEngine, RolloutInput } from './types.ts';
