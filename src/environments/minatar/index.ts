import type { Environment } from '../environment.ts';
import { asterix } from './asterix.ts';
import { breakout } from './breakout.ts';
import { freeway } from './freeway.ts';
import { seaquest } from './seaquest.ts';
import { spaceInvaders } from './space-invaders.ts';

/** MinAtar's games with the minimal action sets: v1 of the Python package. */
export const minatarEnvironments: readonly Environment[] = [
  asterix,
  breakout,
  freeway,
  seaquest,
  spaceInvaders,
];
