import { z } from 'zod';
import { environmentById, environmentIds } from '../environments/index.ts';
import { GrailError } from '../protocol/errors.ts';
import { useNodeSha256 } from '../storage/node-hash.ts';
import { defineCommand } from './command.ts';
import {
  describeEnvironment,
  environmentData,
  environmentDescription,
  environmentTable,
} from './env-describe.ts';
import { findEnvironment } from './env-find.ts';
import { play, RANDOM } from './env-play.ts';

export const command = defineCommand({
  name: 'env',
  summary: 'Lists, describes or plays the environments',
  notes: [
    'grail env list                              what there is',
    'grail env describe breakout                 observation, actions, and the recipes that train it',
    'grail env play breakout --seed 7            an episode of random actions, drawn in the terminal',
    'grail env play --policy .grail/demo/run-1   an episode of the newest policy of a network’s folder',
    'grail env play breakout --keyboard          you play: arrow keys, space, numbers; q quits',
    'ID is an id or a part that no other id has, in any case. The same seed gives the same episode. Where stdout is no',
    'terminal, frames are printed one after another, without waiting.',
  ].join('\n'),
  positionals: z.strictObject({
    action: z.enum(['list', 'describe', 'play']).describe('list, describe or play'),
    id: z.string().min(1).optional().describe('describe, play: the environment'),
  }),
  flags: z.strictObject({
    seed: z.int().min(0).default(1).describe('play: start state, environment and sampling follow from it'),
    policy: z
      .string()
      .min(1)
      .default(RANDOM)
      .describe('play: random, or the folder of a network whose policy plays; ID may then be left out'),
    version: z.int().min(0).optional().describe('play: the version of the policy (default: the newest)'),
    keyboard: z.boolean().default(false).describe('play: you play'),
    fps: z
      .number()
      .min(1)
      .max(240)
      .optional()
      .describe('play: frames a second, in a terminal (default: 15, with --keyboard 6)'),
    steps: z.int().min(1).max(1_000_000).default(10_000).describe('play: stop after so many'),
    noAnimation: z.boolean().default(false).describe('play: print the first and the last frame only'),
    json: z.boolean().default(false).describe('print one JSON object, and no pictures'),
  }),
  async run({ positionals: { action, id }, flags, ...io }) {
    const { out } = io;
    if (action === 'play') {
      useNodeSha256();
      return play({ ...flags, id }, io);
    }
    if (action === 'list') {
      if (id !== undefined) throw usage(`there is no place for '${id}': grail env describe ${id} shows one`);
      const environments = environmentIds.map(environmentById);
      if (flags.json) out(JSON.stringify({ environments: environments.map(environmentData) }));
      else for (const line of environmentTable(environments)) out(line);
      return 0;
    }
    if (id === undefined) throw usage('ID is missing: grail env list shows what there is');
    const environment = findEnvironment(id);
    if (flags.json) out(JSON.stringify(environmentDescription(environment)));
    else for (const line of describeEnvironment(environment)) out(line);
    return 0;
  },
});

function usage(message: string): GrailError {
  return new GrailError('USAGE', `${message} (grail env --help shows what there is)`);
}
