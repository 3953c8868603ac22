import { z } from 'zod';

/** What a process of a verifier does. `all` does everything. */
export const ROLES = ['all', 'sequencer', 'gateway', 'checker', 'trainer'] as const;
export type Role = (typeof ROLES)[number];

/** What an operator may choose. Nothing here decides a verdict. */
export const verifierConfigSchema = z.strictObject({
  host: z.string().min(1).max(255).default('127.0.0.1').describe('address to listen on'),
  port: z.int().min(0).max(65_535).default(7420).describe('port to listen on; 0 takes a free one'),
  /**
   * How long a phase waits for enrolled miners before it closes without them; restarted with the verifier.
   * Long: an honest miner on a slow machine must never be late.
   */
  phaseTimeoutMs: z
    .int()
    .min(100)
    .max(86_400_000)
    .default(60_000)
    .describe('how long a phase waits for a miner'),
  /** Windows after which the network stops; null goes on. */
  windows: z.int().min(1).nullable().default(null),
  /** Mean return over fresh evaluation episodes at which the network stops; null goes on. */
  goal: z.number().nullable().default(null),
  /** Fresh episodes over which each new policy is evaluated, for reports and the goal; 0 does not. */
  evaluationEpisodes: z.int().min(0).max(10_000).default(100),
  /** Threads that compute replays, proofs and updates. */
  threads: z.int().min(1).max(256).default(2),
  /** A sequencer that gave no sign for so long is taken for dead by the one that waits. */
  leaseMs: z.int().min(500).max(600_000).default(10_000),
});

export type VerifierConfig = z.infer<typeof verifierConfigSchema>;
