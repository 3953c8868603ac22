import { LOCAL_BEACON_WINDOWS } from '../params/constants.ts';
import type { Genesis } from '../params/genesis.ts';
import { equalBytes, fromHex } from './bytes.ts';
import { sha256, tag } from './hash.ts';

/** Public randomness. beacon₀ opens a window, beacon₁ challenges its commitments. */
export interface Beacon {
  /** The value of a window, 32 bytes, once it may be known. */
  draw(window: number, which: 0 | 1): Promise<Uint8Array>;
}

const chainStep = (value: Uint8Array) => sha256(tag('beacon/local'), value);

/** Values kept along a chain, so that a draw takes at most this many hashes. */
const STRIDE = 256;

/**
 * A `local` beacon: two hash chains whose ends stand in genesis; each window reveals the next preimage. For devnets
 * only: whoever holds the secrets knew every challenge in advance, and log, page and audit say so.
 */
export class LocalBeacon implements Beacon {
  /** Ends of the chains, for genesis. */
  readonly ends: readonly [Uint8Array, Uint8Array];
  readonly #kept: [Uint8Array[], Uint8Array[]];

  /** @param secrets two independent 32-byte secrets */
  constructor(secrets: readonly [Uint8Array, Uint8Array]) {
    this.#kept = [[], []];
    const ends: Uint8Array[] = [];
    for (const which of [0, 1] as const) {
      let value = secrets[which];
      for (let i = 0; i < LOCAL_BEACON_WINDOWS; i++) {
        if (i % STRIDE === 0) this.#kept[which].push(value);
        value = chainStep(value);
      }
      ends.push(value);
    }
    this.ends = [ends[0]!, ends[1]!];
  }

  async draw(window: number, which: 0 | 1): Promise<Uint8Array> {
    const depth = LOCAL_BEACON_WINDOWS - 1 - window;
    if (depth < 0) throw new RangeError(`a local beacon lasts for ${LOCAL_BEACON_WINDOWS} windows`);
    let value = this.#kept[which][Math.floor(depth / STRIDE)]!;
    for (let i = 0; i < depth % STRIDE; i++) value = chainStep(value);
    return value;
  }
}

/** Whether `value` is window's link of the chain, given the value of the window before (null for window 0). */
export function checkBeacon(
  beacon: Genesis['beacon'],
  which: 0 | 1,
  value: Uint8Array,
  previous: Uint8Array | null,
): boolean {
  return equalBytes(chainStep(value), previous ?? fromHex(beacon.ends[which]));
}
