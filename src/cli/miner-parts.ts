import { availableParallelism } from 'node:os';
import { type RolloutEngine, startRolloutEngine } from '../../rollouts/engine/index.ts';
import type { MinerEvent } from '../../rollouts/events.ts';
import { initialPolicy } from '../../rollouts/policies.ts';
import { type BackendChoice, rankBackends } from '../../rollouts/rank.ts';
import type { Genesis } from '../params/genesis.ts';
import { loadNetworkProver } from '../proofs/network-key.ts';
import { createProofPool, type ProofPool } from '../proofs/pool.ts';
import { GrailError } from '../protocol/errors.ts';

/** Slots enrolled unless --slots says otherwise, as far as the network allows. */
export const DEFAULT_SLOTS = 8;

/** What a miner's flags say of its machine. */
export interface MachineFlags {
  readonly backend: BackendChoice;
  readonly threads?: number | undefined;
  readonly key?: string | undefined;
  readonly provingKey?: string | undefined;
}

/** What plays and what proves, for one network. */
export interface Machine {
  readonly engine: RolloutEngine;
  readonly pool: ProofPool;
  close(): Promise<void>;
}

/**
 * Gets a machine ready to mine: the backend that was asked for, or the fastest exact one, and the network's proving key.
 * @param say one line for people
 * @throws GrailError BACKEND_UNAVAILABLE, BACKEND_NOT_EXACT, KEY_MISMATCH, KEY_INSECURE; NOT_FOUND without a proving key; STOPPED
 */
export async function openMachine(
  genesis: Genesis,
  slots: number,
  flags: MachineFlags,
  parts: {
    readonly log: (event: MinerEvent) => void;
    readonly say: (line: string) => void;
    readonly signal: AbortSignal;
  },
): Promise<Machine> {
  const engine = await openEngine(genesis, slots, flags, parts.log);
  const { backend, device, threads } = engine;
  parts.say(`backend ${backend} (${device}): exact, ${threads} ${threads === 1 ? 'thread' : 'threads'}`);
  try {
    const pool = await openPool(genesis, flags, parts);
    const close = async () => void (await Promise.all([pool.close(), engine.close()]));
    return { engine, pool, close };
  } catch (error) {
    await engine.close();
    throw error;
  }
}

async function openEngine(
  genesis: Genesis,
  slots: number,
  { backend, threads }: MachineFlags,
  log: (event: MinerEvent) => void,
): Promise<RolloutEngine> {
  const candidates = await rankBackends(backend, {
    policy: initialPolicy(genesis),
    slots,
    stepsPerSlot: genesis.stepsPerSlot,
    threads: availableParallelism(),
  });
  return startRolloutEngine({
    candidates: candidates.map((found) => ({
      name: found.name,
      threads: Math.min(threads ?? found.threads, slots),
    })),
    architecture: genesis.architecture,
    onFallback: ({ from, to, error: { code, message } }) =>
      log({ event: 'fallback', from, to, code, message }),
  });
}

/** One proving process with the network's keys. */
async function openPool(
  genesis: Genesis,
  { key, provingKey }: MachineFlags,
  { say, signal }: { readonly say: (line: string) => void; readonly signal: AbortSignal },
): Promise<ProofPool> {
  let last = '';
  const artefacts = await loadNetworkProver(genesis, {
    ...(key !== undefined && { keyFile: key }),
    ...(provingKey !== undefined && { provingKey }),
    signal,
    onProgress: ({ message }) => {
      if (message !== last) say(message);
      last = message;
    },
  });
  const pool = createProofPool({ size: 1, artefacts });
  pool.warm();
  return pool;
}

/**
 * The slots to enrol: those that were asked for, or a few.
 * @throws GrailError SLOTS_INVALID
 */
export function chosenSlots({ groupSize, maxSlots }: Genesis, asked: number | undefined): number {
  const slots = asked ?? Math.min(maxSlots, Math.ceil(DEFAULT_SLOTS / groupSize) * groupSize);
  if (slots % groupSize === 0 && slots <= maxSlots) return slots;
  throw new GrailError('SLOTS_INVALID', `--slots takes a multiple of ${groupSize}, at most ${maxSlots}`, {
    expected: `a multiple of ${groupSize}, at most ${maxSlots}`,
    got: slots,
  });
}
