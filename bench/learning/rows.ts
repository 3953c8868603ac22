import { z } from 'zod';

/** What names a row of the learning table. */
export const rowKeySchema = z.strictObject({
  task: z.string(),
  algorithm: z.enum(['ppo', 'grpo']),
  seed: z.int().min(0).max(0xffff_ffff),
  arithmetic: z.enum(['exact', 'float']),
});

/** One trained policy of the learning table. */
export const rowSchema = z.strictObject({
  ...rowKeySchema.shape,
  lag: z.int(),
  /** Environment steps. */
  steps: z.int(),
  windows: z.int(),
  /** Over fresh episodes at the end, actions sampled as miners sample them. */
  meanReturn: z.number(),
  /** Standard deviation of one episode's return. */
  episodeDeviation: z.number(),
  episodes: z.int(),
  /** Mean returns of fresh episodes along the way. */
  curve: z.array(z.tuple([z.int(), z.number()])),
  /** The largest of all updates; null in float, where it is not defined. */
  mismatchKl: z.number().nullable(),
  policyRoot: z.string().nullable(),
  minutes: z.number(),
  /** What gives this row again. */
  command: z.string(),
});

export type RowKey = Readonly<z.infer<typeof rowKeySchema>>;
export type Row = Readonly<z.infer<typeof rowSchema>>;

/** A key as text: `MinAtar/Breakout-v1 ppo seed 1 exact`. */
export function keyText({ task, algorithm, seed, arithmetic }: RowKey): string {
  return `${task} ${algorithm} seed ${seed} ${arithmetic}`;
}
