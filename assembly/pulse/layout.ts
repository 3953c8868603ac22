/**
 * Where everything lies in the kernel's memory; src/pulse/kernel.ts knows the same addresses. Nothing is allocated.
 */

/** Hazards of the present table: u32 [exponent class 256][age and reversal 128], 2^-24 nat. */
export const HAZARDS: usize = 0x10000;
/** What counted segments held since the last rebuild, in the order of HAZARDS: weights, then changed weights, u32. */
export const SEEN: usize = 0x30000;
export const CHANGED: usize = 0x50000;

// The models of one element type: what a history keeps.
/** u32 [exponent class 256][reversal 2][age bucket 16]: counted weights, then counted changes. */
export const WEIGHTS: usize = 0x70000;
export const CHANGES: usize = 0x78000;
/** Adaptive bits, one u32 each: probability of a 0 (upper 16 bits), decisions seen (lower 8). */
export const BITS: usize = 0x80000;
/** Counts of the four multi-symbol models' symbols: u32 [4][256]. */
export const SYMBOLS: usize = 0x94000;
/** u64 [16][2]: changes and expected changes (2^-24) by a segment's activity, of late. */
export const ACTIVITY: usize = 0x95000;
export const MODELS_END: usize = 0x95100;

// Places in BITS, in contexts.
export const SIGN: usize = 0;
export const MAGNITUDE: usize = 64;
export const LENGTH: usize = 64 + 1024;
/** Of values whose sign flips. */
export const LENGTH_FLIPPED: usize = LENGTH + 256 * 64;
export const ANY: usize = LENGTH_FLIPPED + 64;
export const DENSITY: usize = ANY + 1;
export const SHARED_ZEROS: usize = DENSITY + 128;
export const BY_ROWS: usize = SHARED_ZEROS + 32;
export const BITS_END: usize = BY_ROWS + 1;

// Constant tables, made by init().
/** u64 [512]: 2^32·(1 − e^(−j/64)). */
export const CHANCE: usize = 0xa0000;
/** u16 [512]: for the upper nine bits of a chance, where to look in CHANCE. */
export const CHANCE_INDEX: usize = 0xa1000;
/** u8 [64]: age to bucket. */
export const BUCKET: usize = 0xa1800;
/** u8 [256]: int8 to magnitude class. */
export const INT8_CLASS: usize = 0xa1900;
/** u16 [256]: rate of an adaptive bit by decisions seen. */
export const RATES: usize = 0xa1a00;
/** u64 [2][512]: multipliers of the set hash by place in a segment. */
export const PLACES: usize = 0xa2000;
/** u32 [16]: byte offsets in HAZARDS of a group's weights. */
export const OFFSETS: usize = 0xa5000;
/** u32 [4] each: symbols that a multi-symbol model coded since its frequencies were made, and when they are made again. */
export const SINCE: usize = 0xa4000;
export const DUE: usize = 0xa4010;
/** Of the four multi-symbol models: u16 [4][256] start and frequency, of 4,096; u8 [4][4096] symbol. */
export const STARTS: usize = 0xa6000;
export const FREQUENCIES: usize = 0xa7000;
export const LOOKUP: usize = 0xa8000;

// Blocks of at most BLOCK weights.
export const BLOCK: i32 = 65536;
export const BASE_BLOCK: usize = 0x100000;
export const TARGET_BLOCK: usize = 0x140000;
export const MARKS_BLOCK: usize = 0x180000;
/** Code: what the encoder wrote, or what the decoder may read. */
export const CODE: usize = 0x1a0000;

/** Weights of a segment: one activity, one multiplier of the set hash. */
export const SEGMENT: i32 = 512;
/** The mark of a weight that has not changed for 63 patches, or never. */
export const OLD: i32 = 63;
