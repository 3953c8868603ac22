import type { Code } from '../src/protocol/codes.ts';

/** What a miner can do about a rejection, by its code: one line for a terminal. docs/guides/miners.md says the same. */
const ADVICE: Partial<Record<Code, string>> = {
  NOT_REGISTERED: 'Restart the miner: it registers by itself.',
  NOT_ENROLLED: 'The enrolment came too late, or a second, different one took it out.',
  SLOTS_INVALID: 'Choose another --slots.',
  PHASE_CLOSED: 'Too late: lower --slots, or use a faster machine or a better line.',
  EQUIVOCATION: 'Use the key in one place only: is it on another machine as well?',
  CHALLENGE_MISMATCH: 'The verifier showed this miner another history: do not trust it.',
  BAD_SIGNATURE: 'The key does not fit the address: check the keystore.',
  COMMIT_MISSING: 'Was the miner too slow, or not connected? See its log; lower --slots.',
  OPENING_MISSING: 'Was the miner stopped, or not connected? See its log of that window.',
  PROOF_MISSING: 'Was the miner too slow or stopped? Let fewer processes run beside the prover.',
  ACTION_MISMATCH: 'Memory errors, or a changed client: run grail doctor.',
  POLICY_STALE: 'Report a bug: the miner checks the policy before it plays.',
  POLICY_MISMATCH: 'Run grail doctor; do not change the client.',
  SEED_MISMATCH: 'Run grail doctor; do not change the client.',
  COMMIT_ROOT_MISMATCH: 'Run grail doctor; do not change the client.',
  OPENING_OBSERVATION: 'Run grail doctor; do not change the client.',
  OPENING_MISMATCH: 'Run grail doctor; do not change the client.',
  PROOF_INVALID: 'Delete the cached proving key (.cache/circuits) and start again.',
  PROOF_REPLAYED: 'The client was changed: install it anew.',
};

/** Of what this client never sends. */
const UPDATE = 'This miner never sends such a thing: update it, or report a bug.';

/** What to do about a rejection. */
export function adviceFor(code: Code): string {
  return ADVICE[code] ?? UPDATE;
}

/** Codes with advice of their own. */
export const ADVISED_CODES = Object.keys(ADVICE) as readonly Code[];
