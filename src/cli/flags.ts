import { z } from 'zod';

/** Flags that several commands share, so that they mean the same everywhere. */
export const jsonFlag = z
  .boolean()
  .default(false)
  .describe('the last line of stdout is one JSON object; progress goes to stderr');

/** What a new development network trains; both have recipes in src/params/recipes.ts. */
export const environmentFlag = z
  .string()
  .min(1)
  .max(64)
  .describe('what is trained; `grail env list` names them');
export const algorithmFlag = z.enum(['ppo', 'grpo']).describe('how it is trained');

export const keystoreFlag = z.string().min(1).describe('the encrypted keystore file');

export const passwordFileFlag = z
  .string()
  .min(1)
  .optional()
  .describe('file with the password; without it GRAIL_PASSWORD, then a prompt');

export const keyFileFlag = z
  .string()
  .min(1)
  .optional()
  .describe('the network’s key file, where it is neither in its folder nor in circuits/keys');

export const provingKeyFlag = z
  .string()
  .min(1)
  .optional()
  .describe('the .zkey of the ceremony that made the network’s key (default: the cache)');
