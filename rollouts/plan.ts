import type { Genesis } from '../src/params/genesis.ts';
import type { Conduct } from './conduct.ts';
import type { NetworkView, WindowView } from './view.ts';

/** One thing that a miner should do now. */
export type Step =
  | { readonly kind: 'register' }
  | { readonly kind: 'enrol' | 'commit' | 'opening' | 'settle'; readonly window: number }
  | { readonly kind: 'prove'; readonly window: number; readonly part: number };

/** What a step is known by. */
export function stepKey(step: Step): string {
  if (step.kind === 'register') return 'register';
  return step.kind === 'prove' ? `prove ${step.window} ${step.part}` : `${step.kind} ${step.window}`;
}

/**
 * Everything that the network waits for from this miner, and what it may begin: a pure function of what the ledger
 * shows, so that a miner that was killed takes up where it was. Earlier windows come first.
 * @param joins whether it may enter another window
 */
export function dueSteps(view: NetworkView, conduct: Conduct, joins: boolean): Step[] {
  const steps: Step[] = [];
  if (view.eligibleFrom === null && joins && conduct.enrols) steps.push({ kind: 'register' });
  for (const window of [...view.windows.values()].sort((a, b) => a.window - b.window)) {
    steps.push(...windowSteps(view, window, conduct, joins));
  }
  return steps;
}

function windowSteps(view: NetworkView, state: WindowView, conduct: Conduct, joins: boolean): Step[] {
  const { window, phase } = state;
  const takesPart = conduct.enrols ? view.slots(state) > 0 : joins;
  switch (phase) {
    case 'enrol':
      return conduct.enrols && joins && mayEnrol(view, state) ? [{ kind: 'enrol', window }] : [];
    case 'commit':
    case 'opening':
      if (takesPart && phase === conduct.commitsIn && state.commits.length === 0)
        return [{ kind: 'commit', window }];
      return phase === 'opening' && state.commits.length === 1 && state.openings.length === 0
        ? [{ kind: 'opening', window }]
        : [];
    case 'prove':
      return state.openings.length === 1 ? missingParts(view, state) : [];
    case 'done':
      return state.result === null ? [] : [{ kind: 'settle', window }];
  }
}

/** Whether the rules let this miner enrol in the window now. */
export function mayEnrol(view: NetworkView, state: WindowView): boolean {
  if (state.phase !== 'enrol' || state.enrols.length > 0 || view.eligibleFrom === null) return false;
  return state.window >= view.eligibleFrom && state.window > view.coolingUntil;
}

function missingParts(view: NetworkView, state: WindowView): Step[] {
  const steps: Step[] = [];
  for (let part = 0; part < partsOf(view.genesis); part++) {
    if (state.proofs.some((proof) => proof.part === part)) continue;
    steps.push({ kind: 'prove', window: state.window, part });
  }
  return steps;
}

/** Proofs that a window takes of each miner. */
export function partsOf({ challengesPerMiner, stepsPerProof }: Genesis): number {
  return challengesPerMiner / stepsPerProof;
}

/** What a window that the miner is enrolled in waits for, in words that end a sentence. */
export function waitsFor(view: NetworkView, state: WindowView): string {
  switch (state.phase) {
    case 'enrol':
      return 'the end of its enrol phase';
    case 'commit':
      return state.commits.length === 0 ? 'the rollouts' : 'the other miners’ commits';
    case 'opening':
      return state.openings.length === 0 ? 'the opening' : 'the other miners’ openings';
    case 'prove': {
      const parts = partsOf(view.genesis);
      const left = missingParts(view, state).length;
      return left === 0
        ? 'the verdict'
        : `the proof${parts === 1 ? '' : ` (${parts - left} of ${parts} done)`}`;
    }
    case 'done':
      return 'its receipt';
  }
}
