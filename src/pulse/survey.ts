import { BLOCK, type Kernel, KINDS } from './kernel.ts';
import { elementCount, type TensorSpec } from './tensor.ts';

/** One block in this many is looked at to learn how much of a large tensor changed. */
const SAMPLED = 8;

/** What is said of a tensor before its code. */
interface Survey {
  /** The largest q ≤ 127 for which 2^(−q/4) is at least the share that changed; −1 when nothing did. */
  readonly quarters: number;
  /** Trailing zeros that all int32 steps share. */
  readonly zeros: number;
  /** Whether rows differ in how much of them changed. */
  readonly rows: boolean;
}

export function equalSurveys(a: Survey, b: Survey): boolean {
  return a.quarters === b.quarters && a.zeros === b.zeros && a.rows === b.rows;
}

export function surveyed(
  kernel: Kernel,
  spec: TensorSpec,
  from: Uint8Array,
  to: Uint8Array,
  overwrite: boolean,
): Survey {
  const { run } = kernel;
  const { dtype } = spec;
  const count = elementCount(spec);
  const blocks = Math.ceil(count / BLOCK);
  const exact = overwrite || dtype === 'int32' || blocks < 2 * SAMPLED;
  run.startSurvey();
  let changes = 0;
  let seen = 0;
  const look = (block: number) => {
    const at = block * BLOCK;
    const size = Math.min(BLOCK, count - at);
    kernel.loadBase(dtype, from, at, size);
    kernel.loadTarget(dtype, to, at, size);
    changes += run.surveyBlock(KINDS[dtype], BigInt(at), size);
    seen += size;
  };
  for (let block = 0; block < blocks; block += exact ? 1 : SAMPLED) look(block);
  if (changes === 0 && !exact) {
    for (let block = 0; block < blocks && changes === 0; block++) {
      if (block % SAMPLED !== 0) look(block);
    }
    seen = count;
  }
  if (changes === 0) return { quarters: -1, zeros: 0, rows: false };
  return {
    quarters: quartersOf(changes, seen),
    zeros: overwrite ? 0 : sharedZeros(run.getStepBits()),
    rows: !overwrite && run.isUneven(count) !== 0,
  };
}

/** The largest q ≤ 127 for which 2^(−q/4) is at least changes/elements. */
export function quartersOf(changes: number, elements: number): number {
  let quarters = 0;
  while (quarters < 127) {
    const next = quarters + 1;
    if (changes * QUARTERS[next & 3]! * 2 ** (next >> 2) > elements) break;
    quarters = next;
  }
  return quarters;
}

/** Trailing zeros that all values of a small int32 tensor share. */
export function valueZeros(kernel: Kernel, bytes: Uint8Array): number {
  const count = bytes.length / 4;
  kernel.loadTarget('int32', bytes, 0, count);
  kernel.run.surveyValues(count);
  return sharedZeros(kernel.run.getStepBits());
}

/** Trailing zeros of a word; 0 of none. */
function sharedZeros(bits: number): number {
  return bits === 0 ? 0 : 31 - Math.clz32(bits & -bits);
}

/** 2^(i/4). */
const QUARTERS = [1, 1.189207115002721, Math.SQRT2, 1.681792830507429];
