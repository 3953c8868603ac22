import { z } from 'zod';

/** Flags that several commands share, so that they mean the same everywhere. */
export const jsonFlag = z
  .boolean()
  .default(false)
  .describe('the last line of stdout is one JSON object; progress goes to stderr');

export const keystoreFlag = z.string().min(1).describe('the encrypted keystore file');

export const passwordFileFlag = z
  .string()
  .min(1)
  .optional()
  .describe('file with the password; without it GRAIL_PASSWORD, then a prompt');
