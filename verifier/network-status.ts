import type { Ledger } from '../src/ledger/log.ts';
import { toHex } from '../src/protocol/bytes.ts';
import { enrolled, enrolledSlots, type NetworkState } from '../src/replica/state.ts';
import type { WindowState } from '../src/replica/window.ts';
import type { NetworkStatus } from './types.ts';

/** What a process of the verifier tells of its network. `pending` counts the miners that a window's phase waits for. */
export function networkStatus(
  state: NetworkState,
  ledger: Ledger,
  run: Pick<NetworkStatus, 'finished' | 'evaluation'>,
  pending: (window: WindowState) => number = (window) => state.pending(window).length,
): NetworkStatus {
  const newest = state.versions.at(-1)!;
  return {
    genesisHash: toHex(state.genesisHash),
    insecureDev: state.genesis.insecureDev,
    size: ledger.size,
    policyVersion: newest.version,
    policyRoot: newest.policyRoot,
    trainerStateRoot: newest.trainerStateRoot,
    verdicts: state.nextVerdict,
    ...run,
    windows: [...state.windows.values()]
      .filter(({ phase }) => phase !== 'done')
      .map((window) => ({
        window: window.window,
        phase: window.phase,
        policyVersion: window.open?.policyVersion ?? null,
        enrolled: enrolled(window).length,
        slots: enrolledSlots(window),
        pending: pending(window),
      })),
  };
}
