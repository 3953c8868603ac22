import { signHead, type TreeHead } from '../src/ledger/head.ts';
import type { Ledger } from '../src/ledger/log.ts';
import { type Hex, toHex } from '../src/protocol/bytes.ts';
import { canonicalBytes } from '../src/protocol/canonical.ts';
import { GrailError } from '../src/protocol/errors.ts';
import { sha256 } from '../src/protocol/hash.ts';
import type { Identity } from '../src/protocol/identity.ts';
import { attestationDigest } from '../src/protocol/messages.ts';
import type { Phase } from '../src/protocol/phases.ts';
import type { Acknowledgement, Receipt } from '../src/protocol/wire.ts';
import type { VerdictBody } from '../src/replica/bodies.ts';
import type { NetworkState } from '../src/replica/state.ts';

/** What a verifier's key signs of its ledger. */
export class Attestor {
  readonly #state: NetworkState;
  readonly #ledger: Ledger;
  readonly #identity: Identity;

  constructor(parts: { state: NetworkState; ledger: Ledger; identity: Identity }) {
    this.#state = parts.state;
    this.#ledger = parts.ledger;
    this.#identity = parts.identity;
  }

  get address(): Hex {
    return this.#identity.address;
  }

  /** The promise that the entry at `index`, which is durable, holds a message. */
  acknowledge(digest: Uint8Array, window: number, phase: Phase, index: number): Acknowledgement {
    const promise = {
      messageHash: toHex(digest),
      window,
      phase,
      view: 0,
      index,
      treeSize: this.#ledger.size,
      treeRoot: toHex(this.#ledger.root()),
    };
    const signature = this.#identity.sign(attestationDigest(this.#state.domain, 'acknowledgement', promise));
    return { ...promise, verifier: this.#identity.address, signature };
  }

  /** A head over everything that is placed in the ledger, durable or not. */
  head(window: number, phase: TreeHead['phase']): TreeHead {
    const treeSize = this.#ledger.stagedSize;
    const treeRoot = toHex(this.#ledger.root(treeSize));
    return signHead(this.#state.domain, this.#identity, { window, phase, view: 0, treeSize, treeRoot });
  }

  /** @throws GrailError NOT_FOUND */
  receipt(window: number, miner: Hex): Receipt {
    const found = this.#verdict(window);
    const result = found?.body.results.find((element) => element.miner === miner);
    if (found === undefined || result === undefined) {
      throw new GrailError('NOT_FOUND', `there is no verdict on ${miner} in window ${window}`, {
        window,
        miner,
      });
    }
    const value = {
      miner,
      window,
      view: 0,
      slots: result.slots,
      credit: result.credit,
      resultHash: toHex(sha256(canonicalBytes(result))),
      index: found.index,
      insecureDev: this.#state.genesis.insecureDev,
    };
    const signature = this.#identity.sign(attestationDigest(this.#state.domain, 'receipt', value));
    return { ...value, result, verifier: this.#identity.address, signature };
  }

  #verdict(window: number): { index: number; body: VerdictBody } | undefined {
    for (const head of this.#ledger.heads()) {
      if (head.window !== window || head.phase !== 'prove') continue;
      const index = head.treeSize - 1;
      // Every miner of the window asks: parsing the entry anew would take longer than all else that it is answered.
      const body = this.#state.window(window)?.verdict ?? (this.#ledger.get(index).body as VerdictBody);
      return { index, body };
    }
    return undefined;
  }
}
