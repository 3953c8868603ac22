import type { Rollouts } from '../src/environments/index.ts';
import type { Genesis } from '../src/params/genesis.ts';
import { packActions } from '../src/protocol/actions.ts';
import { fromHex, type Hex, toHex } from '../src/protocol/bytes.ts';
import { commitRoot, rolloutDigests } from '../src/protocol/commitment.ts';
import type { MessageOf, Unsigned } from '../src/protocol/messages.ts';
import type { PlayedRollouts } from './engine/index.ts';

/** What a commit says of rollouts, to be signed. */
export function commitMessage(
  context: {
    readonly genesis: Genesis;
    readonly genesisHash: Uint8Array;
    readonly window: number;
    readonly miner: Hex;
    readonly policyRoot: Hex;
  },
  rollouts: Rollouts & Partial<Pick<PlayedRollouts, 'digests'>>,
): Unsigned<MessageOf<'commit'>> {
  const { genesisHash, window, miner, policyRoot } = context;
  const { actions } = context.genesis.architecture;
  const digests =
    rollouts.digests ?? rolloutDigests({ genesisHash, window, address: fromHex(miner), actions }, rollouts);
  return {
    type: 'commit',
    miner,
    window,
    policyRoot,
    commitRoot: toHex(commitRoot(digests)),
    actions: toHex(packActions(rollouts.actions, actions)),
  };
}
