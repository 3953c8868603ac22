import { xdelta3, zstdPatchFrom } from './command-line.ts';
import { grailV31 } from './grail-v31.ts';
import { pulsept1V1, pulsept1V2, pulsept1V3 } from './pulsept1.ts';
import type { Rival } from './rival.ts';
import { xorZstd } from './xor.ts';

export type { NamedTensor, Rival } from './rival.ts';

/** Formats written anew here. */
export const OWN_RIVALS: readonly Rival[] = [
  grailV31,
  pulsept1V1,
  pulsept1V2,
  pulsept1V3,
  xorZstd(1),
  xorZstd(3),
];

/** Programs of the system. Those that are missing say so. */
export const PROGRAM_RIVALS: readonly Rival[] = [zstdPatchFrom(3), xdelta3];

/** What PULSE is compared with, in the order of the table. */
export const RIVALS: readonly Rival[] = [...OWN_RIVALS, ...PROGRAM_RIVALS];

/** Rivals that take more than a second a megabyte. */
export const SLOW_RIVALS: readonly Rival[] = [zstdPatchFrom(19)];
