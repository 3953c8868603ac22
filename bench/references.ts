/**
 * What a return is worth on SAT-v1 and Countdown-v1: random actions, plain rules, the optimum. Prints a table.
 *
 *     node bench/references.ts --episodes 10000
 */
import { parseArgs } from 'node:util';
import { countdown } from '../src/environments/countdown.ts';
import { sat } from '../src/environments/sat.ts';
import { useNodeSha256 } from '../src/storage/node-hash.ts';
import {
  countdownForesightReturn,
  type ReferenceReturn,
  randomReturn,
  satGreedyReturn,
  satLookaheadReturn,
  satOptimalReturn,
} from './learning/reference-returns.ts';

useNodeSha256();
const { values: flags } = parseArgs({ options: { episodes: { type: 'string', default: '10000' } } });
const episodes = Number(flags.episodes);

const row = (task: string, policy: string, reference: () => ReferenceReturn) => {
  const start = performance.now();
  const { mean, standardError, solved } = reference();
  return {
    task,
    policy,
    'mean return': mean.toFixed(4),
    'standard error': standardError.toFixed(4),
    solved: solved.toFixed(4),
    seconds: ((performance.now() - start) / 1000).toFixed(1),
  };
};

console.log(`${episodes} episodes a row`);
console.table([
  row('SAT-v1', 'uniform', () => randomReturn(sat, episodes, 2)),
  row('SAT-v1', 'greedy (Johnson)', () => satGreedyReturn(episodes)),
  row('SAT-v1', 'unit propagation', () => satLookaheadReturn(episodes)),
  row('SAT-v1', 'optimal', () => satOptimalReturn(episodes)),
  row('Countdown-v1', 'uniform', () => randomReturn(countdown, episodes, 1)),
  row('Countdown-v1', 'uniform over allowed', () => countdownForesightReturn(episodes, 0)),
  row('Countdown-v1', 'sees 1 operation', () => countdownForesightReturn(episodes, 1)),
  row('Countdown-v1', 'sees 2 operations', () => countdownForesightReturn(episodes, 2)),
  row('Countdown-v1', 'optimal (sees 3)', () => countdownForesightReturn(episodes, 3)),
]);
