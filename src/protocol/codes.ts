/**
 * Whose fault a failure is. `ignore`: nobody's, drop it. `retry`: the same request may succeed later.
 * `reject`: the sender's; repeating it does not help.
 */
export type Fault = 'ignore' | 'retry' | 'reject';

interface CodeEntry {
  readonly fault: Fault;
  /** HTTP status with which a gateway answers it. */
  readonly status: number;
  readonly doc: string;
}

/** Every code of the project. A code is never renamed or reused: ledgers hold them. */
export const CODES = {
  // Messages, at the gateway
  BAD_REQUEST: { fault: 'reject', status: 400, doc: 'The input does not have the documented shape.' },
  TOO_LARGE: { fault: 'reject', status: 413, doc: 'The input is larger than docs/LIMITS.md allows.' },
  NOT_FOUND: { fault: 'reject', status: 404, doc: 'There is no such thing here.' },
  TOO_MANY_REQUESTS: {
    fault: 'retry',
    status: 429,
    doc: 'A rate limit was reached; wait as Retry-After says.',
  },
  TIMEOUT: { fault: 'retry', status: 408, doc: 'The request did not arrive in time.' },
  BAD_SIGNATURE: { fault: 'reject', status: 401, doc: 'The signature is not that of the miner it names.' },
  NOT_REGISTERED: { fault: 'reject', status: 403, doc: 'The key is not registered on this network.' },
  NOT_YET_ELIGIBLE: {
    fault: 'retry',
    status: 403,
    doc: 'The key registered too recently to enrol in this window.',
  },
  NOT_ENROLLED: { fault: 'reject', status: 403, doc: 'The miner did not enrol in this window.' },
  COOLING_DOWN: { fault: 'retry', status: 403, doc: 'The miner lost its bond and may not enrol yet.' },
  SLOTS_INVALID: {
    fault: 'reject',
    status: 400,
    doc: 'Slots must be a positive multiple of G, at most maxSlots.',
  },
  PHASE_NOT_OPEN: {
    fault: 'retry',
    status: 409,
    doc: 'The phase has not begun; wait for its opening entry.',
  },
  PHASE_CLOSED: {
    fault: 'reject',
    status: 409,
    doc: 'The phase was closed before the message came: too late.',
  },
  EQUIVOCATION: {
    fault: 'reject',
    status: 409,
    doc: 'Two different messages of one key in one phase: neither counts.',
  },
  POLICY_ROOT_MISMATCH: {
    fault: 'reject',
    status: 409,
    doc: 'The message names another policy than the window uses.',
  },
  COMMIT_SHAPE: {
    fault: 'reject',
    status: 400,
    doc: 'The packed actions are not slots · T actions with zero padding.',
  },
  CHALLENGE_MISMATCH: {
    fault: 'reject',
    status: 409,
    doc: 'The opening answers another challenge than the window’s.',
  },
  OPENING_SHAPE: {
    fault: 'reject',
    status: 400,
    doc: 'The opening has not one digest and observation per challenge.',
  },
  INT8_RANGE: {
    fault: 'reject',
    status: 400,
    doc: '−128 is not a value of the protocol; int8 ends at −127.',
  },
  PROOF_ENCODING: {
    fault: 'reject',
    status: 400,
    doc: 'The proof is not 256 bytes of canonical points on the curve and in its subgroup.',
  },

  // Verdicts: each costs the window's credit and the bond
  COMMIT_MISSING: { fault: 'reject', status: 409, doc: 'The miner enrolled and committed nothing in time.' },
  POLICY_MISMATCH: { fault: 'reject', status: 409, doc: 'The actions are not those of the window’s policy.' },
  POLICY_STALE: { fault: 'reject', status: 409, doc: 'The actions are those of an earlier policy.' },
  SEED_MISMATCH: {
    fault: 'reject',
    status: 409,
    doc: 'The rollout was made with the seeds of another slot.',
  },
  ACTION_MISMATCH: {
    fault: 'reject',
    status: 409,
    doc: 'An action is not the one that policy and noise give.',
  },
  COMMIT_ROOT_MISMATCH: {
    fault: 'reject',
    status: 409,
    doc: 'commitRoot is not the root of the replayed rollouts.',
  },
  OPENING_MISSING: { fault: 'reject', status: 409, doc: 'The challenged steps were not opened in time.' },
  OPENING_OBSERVATION: {
    fault: 'reject',
    status: 409,
    doc: 'An opened observation is not that of the replay.',
  },
  OPENING_MISMATCH: {
    fault: 'reject',
    status: 409,
    doc: 'The opened digest is not that of the policy’s accumulators.',
  },
  PROOF_MISSING: { fault: 'reject', status: 409, doc: 'A challenged step was not proven in time.' },
  PROOF_REPLAYED: {
    fault: 'reject',
    status: 409,
    doc: 'The proof’s bytes stand in an earlier ledger entry.',
  },
  PROOF_INVALID: { fault: 'reject', status: 409, doc: 'The proof does not verify for its statement.' },

  // Policies, backends and proofs on this machine
  POLICY_INVALID: {
    fault: 'reject',
    status: 400,
    doc: 'Tensors or architecture break the exact policy’s rules.',
  },
  BACKEND_NOT_EXACT: {
    fault: 'reject',
    status: 500,
    doc: 'The backend fails a known-answer vector: it may not mine.',
  },
  BACKEND_LOST: {
    fault: 'retry',
    status: 500,
    doc: 'The device of a backend went away, or refused an operation: what it was computing is computed elsewhere.',
  },
  BACKEND_OUT_OF_MEMORY: {
    fault: 'retry',
    status: 500,
    doc: 'The backend cannot get the memory that a policy needs.',
  },
  BACKEND_UNAVAILABLE: { fault: 'reject', status: 500, doc: 'The backend cannot be loaded on this machine.' },
  WASM_NOT_PINNED: {
    fault: 'reject',
    status: 500,
    doc: 'The TensorFlow.js wasm binary is not the one of genesis.',
  },
  TRAINING_NOT_FINITE: { fault: 'ignore', status: 500, doc: 'A loss, gradient or latent was not finite.' },
  TRAINER_STATE_INVALID: {
    fault: 'reject',
    status: 400,
    doc: 'The bytes are not a trainer state of this network.',
  },
  CIRCUIT_UNSOUND: {
    fault: 'reject',
    status: 500,
    doc: 'The architecture has no sound circuit of this size.',
  },
  KEY_MISMATCH: {
    fault: 'reject',
    status: 409,
    doc: 'The verification key is not the one that genesis pins.',
  },
  KEY_INSECURE: {
    fault: 'reject',
    status: 409,
    doc: 'A key whose secrets may be known: of the development setup, without a contribution, or of an unchecked phase 1.',
  },
  CEREMONY_TRANSCRIPT: {
    fault: 'reject',
    status: 400,
    doc: 'A ceremony’s transcript was altered, or a file that it names is missing.',
  },
  CEREMONY_CIRCUIT: {
    fault: 'reject',
    status: 409,
    doc: 'A ceremony’s constraint system or key is of another circuit than its transcript names.',
  },
  CEREMONY_PHASE1: {
    fault: 'reject',
    status: 409,
    doc: 'The phase 1 file is not the ceremony’s, was altered, or is not fit for the circuit.',
  },
  CEREMONY_CONTRIBUTION: {
    fault: 'reject',
    status: 409,
    doc: 'A contribution is missing, replaced or out of order, or its maker did not know its secret.',
  },
  CEREMONY_BEACON: {
    fault: 'reject',
    status: 409,
    doc: 'A ceremony’s beacon does not follow from the value that it names, or is not its last step.',
  },
  CEREMONY_KEY: {
    fault: 'reject',
    status: 409,
    doc: 'A ceremony’s proving key is not what phase 1, circuit and contributions give.',
  },
  WITNESS_FAILED: { fault: 'reject', status: 500, doc: 'The statement does not satisfy the circuit.' },
  PROVER_FAILED: { fault: 'retry', status: 500, doc: 'The proving process failed or was stopped.' },

  // PULSE
  PATCH_FORMAT: { fault: 'reject', status: 400, doc: 'The bytes are not a canonical PULSE patch or anchor.' },
  PATCH_BASE_MISMATCH: { fault: 'reject', status: 409, doc: 'The patch starts from another policy.' },
  PATCH_TARGET_MISMATCH: {
    fault: 'reject',
    status: 409,
    doc: 'The patched policy is not the one that was promised.',
  },
  PATCH_HISTORY_MISMATCH: {
    fault: 'reject',
    status: 409,
    doc: 'The patch was coded with a history of changes that the receiver does not hold.',
  },
  TENSORS_INVALID: {
    fault: 'reject',
    status: 400,
    doc: 'A tensor file is not a sound safetensors file of supported types.',
  },
  PATCH_CHAIN_BROKEN: {
    fault: 'retry',
    status: 404,
    doc: 'No sequence of patches and anchors leads to the policy.',
  },
  MANIFEST_INVALID: {
    fault: 'reject',
    status: 400,
    doc: 'A PULSE manifest is malformed, unsigned or not of the publisher that the receiver trusts.',
  },
  MANIFEST_OUT_OF_ORDER: {
    fault: 'reject',
    status: 409,
    doc: 'A PULSE log is reordered, spliced or has a gap: its manifests do not follow one from the other.',
  },
  MANIFEST_FORKED: {
    fault: 'reject',
    status: 409,
    doc: 'A PULSE log has another manifest where the receiver saw one: the publisher signed two.',
  },
  MANIFEST_ROLLED_BACK: {
    fault: 'retry',
    status: 409,
    doc: 'A PULSE log ends before what the receiver has seen or holds: it is old.',
  },

  // Storage, ledger and audit
  BLOB_MISSING: { fault: 'retry', status: 404, doc: 'A blob that the ledger names is not in the store.' },
  BLOB_CORRUPT: { fault: 'reject', status: 500, doc: 'A blob’s bytes do not have the hash that names it.' },
  BLOB_UNREFERENCED: { fault: 'reject', status: 500, doc: 'A stored file that no ledger entry names.' },
  LEDGER_CORRUPT: { fault: 'reject', status: 500, doc: 'An entry, leaf or head of the ledger was altered.' },
  LEDGER_INVALID: { fault: 'reject', status: 500, doc: 'An entry breaks a rule of the protocol.' },
  LEDGER_DIVERGED: {
    fault: 'reject',
    status: 500,
    doc: 'A replay from genesis gives another result than the ledger.',
  },
  STORAGE_UNAVAILABLE: {
    fault: 'retry',
    status: 503,
    doc: 'The disk, database or blob store takes nothing now: full, read-only, not permitted or away.',
  },
  LEASE_LOST: {
    fault: 'retry',
    status: 503,
    doc: 'Another process has taken over what this one was the only writer of.',
  },
  NOT_READY: {
    fault: 'retry',
    status: 503,
    doc: 'The process cannot serve now; `checks` of the details say why.',
  },
  JOB_FAILED: {
    fault: 'retry',
    status: 500,
    doc: 'A job failed at every attempt and lies among the dead letters.',
  },
  GENESIS_MISMATCH: { fault: 'reject', status: 409, doc: 'The other side is on another network.' },
  GENESIS_INVALID: { fault: 'reject', status: 400, doc: 'The genesis document breaks a rule.' },
  BEACON_INVALID: {
    fault: 'reject',
    status: 409,
    doc: 'The beacon’s value is not the one its chain commits to.',
  },
  WRONG_PHASE: { fault: 'retry', status: 409, doc: 'The request does not fit the network’s present phase.' },

  // Commands
  USAGE: { fault: 'reject', status: 400, doc: 'The command’s flags or arguments are wrong.' },
  KEYSTORE_INVALID: { fault: 'reject', status: 400, doc: 'The keystore cannot be read with this password.' },
  ALREADY_RUNNING: { fault: 'reject', status: 409, doc: 'Another process uses this directory or key.' },
  UNREACHABLE: { fault: 'retry', status: 503, doc: 'The other side does not answer.' },
  STOPPED: { fault: 'ignore', status: 503, doc: 'The process is stopping.' },
  CHILD_FAILED: { fault: 'retry', status: 500, doc: 'A process that this one started ended unexpectedly.' },
  GOAL_NOT_REACHED: {
    fault: 'ignore',
    status: 500,
    doc: 'The demo ended before the policy reached its goal.',
  },
  RUNTIME_UNSUPPORTED: { fault: 'reject', status: 500, doc: 'This version of Node cannot run GRAIL.' },
  INTERNAL: { fault: 'retry', status: 500, doc: 'A bug: please report it with the log.' },
} as const satisfies Record<string, CodeEntry>;

export type Code = keyof typeof CODES;
