/**
 * What the learning table has: each is trained with every seed in exact and in float arithmetic. References are the returns
 * that others publish, each with its source; the random policy's is measured by this bench.
 */
export interface LearningTask {
  readonly task: string;
  readonly algorithm: 'ppo' | 'grpo';
  /** Environment steps of a run. */
  readonly steps: number;
  /** Steps of a window, over all its slots. */
  readonly windowSteps: number;
  readonly reference: Reference | null;
}

export interface Reference {
  /** As published: mean, and deviation over seeds where there is one. */
  readonly text: string;
  readonly source: string;
}

export const SEEDS: readonly number[] = [1, 2, 3];

/** Windows that the acting policy is behind: genesis's default. */
export const LAG = 1;

const CLEANRL = 'CleanRL, docs/rl-algorithms/ppo.md, ppo.py at 500,000 steps, 3 seeds';

const classic = (task: string, steps: number, windowSteps: number, text: string): LearningTask => ({
  task,
  algorithm: 'ppo',
  steps,
  windowSteps,
  reference: { text, source: CLEANRL },
});

const OWN = '`npm run bench -- references`, 10,000 episodes';
const SAT: Reference = { text: 'optimal 1.727, greedy 1.111', source: OWN };
const COUNTDOWN: Reference = { text: 'optimal 1, two operations ahead 0.723', source: OWN };

const minatar = (game: string, reference: Reference | null): LearningTask => ({
  task: `MinAtar/${game}-v1`,
  algorithm: 'ppo',
  steps: 1_000_000,
  windowSteps: 8192,
  reference,
});

export const TASKS: readonly LearningTask[] = [
  classic('CartPole-v1', 200_000, 4096, '488.75 ± 18.40'),
  { task: 'CartPole-v1', algorithm: 'grpo', steps: 200_000, windowSteps: 4096, reference: null },
  classic('Acrobot-v1', 400_000, 4096, '−82.48 ± 5.93'),
  classic('MountainCar-v0', 400_000, 4096, '−200.00 ± 0.00'),
  { task: 'SAT-v1', algorithm: 'ppo', steps: 150_000, windowSteps: 4800, reference: SAT },
  { task: 'SAT-v1', algorithm: 'grpo', steps: 150_000, windowSteps: 4800, reference: SAT },
  { task: 'Countdown-v1', algorithm: 'ppo', steps: 300_000, windowSteps: 3840, reference: COUNTDOWN },
  { task: 'Countdown-v1', algorithm: 'grpo', steps: 300_000, windowSteps: 3840, reference: COUNTDOWN },
  minatar('Breakout', {
    text: 'DQN 11.10 ± 2.39',
    source:
      'notes of a run of the MinAtar package’s own DQN, J. Bejjani, 1 M frames, one seed, 10 episodes, ± the standard error',
  }),
  minatar('Asterix', null),
  minatar('Freeway', null),
  minatar('Seaquest', null),
  minatar('SpaceInvaders', null),
];
