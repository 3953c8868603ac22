/** The version of everything that enters a hash. Another value is another network. */
export const PROTOCOL_VERSION = 1;

/** Fractional bits of a logit and of a Gumbel value: gaps of a thousandth of a nat are visible, 2^24 is far away. */
export const LOGIT_FRACTION_BITS = 10;

/** Largest int8 magnitude. −128 is invalid: with it, |x| would not be bounded by 127. */
export const INT8_MAX = 127;

/** Chunk of tensor bytes that policyRoot hashes: a patch re-hashes only the chunks it touched. */
export const POLICY_CHUNK_BYTES = 65_536;

/** Windows a local beacon's hash chains last for. Making one takes 65,536 hashes, about 50 ms. */
export const LOCAL_BEACON_WINDOWS = 65_536;

/** Bytes of a Groth16 proof on the wire: A (64), B (128), C (64), big-endian, Ethereum's order of B's halves. */
export const PROOF_BYTES = 256;

/** A commitment whose mismatching steps exceed this fraction of all steps did not run the window's policy at all. */
export const POLICY_MISMATCH_FRACTION = 1 / 16;

/** Weights of one layer: those of the widest dense layer, 1,024 by 4,096. */
export const MAX_LAYER_WEIGHTS = 4_194_304;

/**
 * float32 values that a minibatch may take, actor and critic together (1 GiB): a full wasm heap, 4 GiB, ends an update
 * without a verdict, or corrupts it.
 */
export const MAX_MINIBATCH_VALUES = 268_435_456;

/** Bytes of one miner's replayed rollouts at maxSlots: a replica holds those of a window's miners together. */
export const MAX_ROLLOUT_BYTES = 268_435_456;

/** Accumulators that one proof may cover: its trace and statement are packed field by field. */
export const MAX_PROOF_ACCUMULATORS = 1_048_576;

/** Bytes of packed actions that a commit may carry. */
export const MAX_ACTION_BYTES = 1_048_576;

/** Bytes of observations that an opening may carry. */
export const MAX_OBSERVATION_BYTES = 1_048_576;
