import type { WindowInput } from './judge.ts';
import type { WindowState } from './window.ts';

/** What the judge needs of a window whose commit phase is closed. */
export function windowInput(window: WindowState): WindowInput {
  const { open, challenge } = window;
  if (open === null || challenge === null)
    throw new TypeError(`window ${window.window} is not challenged yet`);
  return {
    window: window.window,
    policyVersion: open.policyVersion,
    windowSeed: open.seed,
    challengeSeed: challenge.seed,
    commitPhaseRoot: challenge.commitRoot,
    commits: window.commits.counted().map(({ miner, message }) => ({
      miner,
      slots: window.slots(miner),
      actions: message.actions,
      commitRoot: message.commitRoot,
    })),
  };
}
