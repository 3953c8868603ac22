import { elementsOf, type Spec } from './header.ts';
import {
  bitLength,
  bucketOf,
  chance,
  classOf,
  contextOf,
  factorOf,
  isDue,
  learnActivity,
  limit,
  type Models,
  rebuild,
} from './models.ts';
import { type Coder, Refused, tree } from './range-coder.ts';
import { afterStep, codeStep, codeWhole, makeFrequencies, stepBetween } from './values.ts';

/** One tensor of a patch: its head and its walk, as docs/PROTOCOL.md, PULSE, states them. */

const BLOCK = 65_536;
const GAP = 2 ** 25;
const ROOTS = [1, 1.189207115002721, Math.SQRT2, 1.681792830507429];

export interface Head {
  q: number;
  z: number;
  byRows: number;
}

export interface Work {
  spec: Spec;
  overwrite: boolean;
  base: Uint32Array;
  /** Before this patch. */
  marks: Uint8Array;
  /** What an encoder knows. */
  target?: Uint32Array | undefined;
}

export interface Walked {
  /** Null when nothing changed. */
  head: Head | null;
  values: Uint32Array;
  changed: Uint8Array;
  down: Uint8Array;
}

export const grown = (mark: number): number => ((mark & 63) < 63 ? mark + 1 : mark);

const rowOf = ({ shape }: Spec): number => Math.max(1, shape.at(-1) ?? 1);

function sharedZeros(steps: Iterable<number>): number {
  let z = 31;
  for (const step of steps) while (step % 2 ** z !== 0) z--;
  return z;
}

/** What the head of a tensor with these changes must say; null when there are none. */
function headOf({ spec, overwrite, base }: Work, values: Uint32Array, changed: Uint8Array): Head | null {
  const n = base.length;
  const blocks = Math.ceil(n / BLOCK);
  const changesOf = (from: number, to: number) => {
    let changes = 0;
    for (let i = from; i < to; i++) changes += changed[i]!;
    return changes;
  };
  const perBlock = Array.from({ length: blocks }, (_, i) =>
    changesOf(i * BLOCK, Math.min(n, (i + 1) * BLOCK)),
  );
  if (perBlock.every((changes) => changes === 0)) return null;

  const sampled = blocks >= 16 && spec.type !== 'int32' && !overwrite;
  let looked = perBlock.map((_, i) => i).filter((i) => !sampled || i % 8 === 0);
  let elements = looked.reduce((sum, i) => sum + Math.min(n, (i + 1) * BLOCK) - i * BLOCK, 0);
  if (looked.every((i) => perBlock[i] === 0)) {
    const first = perBlock.findIndex((changes) => changes > 0);
    looked = perBlock.map((_, i) => i).filter((i) => i <= first || i % 8 === 0);
    elements = n;
  }
  const changes = looked.reduce((sum, i) => sum + perBlock[i]!, 0);
  let q = 127;
  while (changes * ROOTS[q % 4]! * 2 ** Math.floor(q / 4) > elements) q--;

  let z = 0;
  if (spec.type === 'int32' && !overwrite) {
    const steps = [];
    for (let i = 0; i < n; i++) {
      if (changed[i]) steps.push(stepBetween('int32', base[i]!, values[i]!, 0).step);
    }
    z = sharedZeros(steps);
  }

  let byRows = 0;
  const row = rowOf(spec);
  if (row >= 64 && row <= 2 ** 28 && n > row && !overwrite) {
    let [K, G, parts, squares] = [0, 0, 0, 0];
    for (const block of looked) {
      const end = Math.min(n, (block + 1) * BLOCK);
      for (let from = block * BLOCK; from < end; ) {
        const to = Math.min(end, (Math.floor(from / row) + 1) * row);
        const k = changesOf(from, to);
        squares += (k * k) / (to - from);
        K += k;
        G += to - from;
        parts++;
        from = to;
      }
    }
    const X = (squares * G) / K - K;
    const Y = K / parts / 8;
    byRows = X > 1.25 * parts * (1 + Y / Math.sqrt(1 + Y)) ? 1 : 0;
  }
  return { q, z, byRows };
}

function changesOfTarget({ base, target }: Work): Uint8Array {
  return Uint8Array.from(base, (value, i) => (target !== undefined && value !== target[i] ? 1 : 0));
}

/** Codes a tensor, or decodes it when `work` has no target. */
export function codeTensor(coder: Coder, models: Models, work: Work): Walked {
  const { spec, overwrite, base, target } = work;
  const { type } = spec;
  const known = target ? headOf(work, target, changesOfTarget(work)) : null;
  const none = {
    head: null,
    values: Uint32Array.from(base),
    changed: new Uint8Array(base.length),
    down: new Uint8Array(base.length),
  };
  models.symbols.forEach(makeFrequencies);
  if (coder.bit(models.any, 0, known ? 1 : 0) === 0) return none;
  const head = { q: tree(coder, models.q, 7, known?.q ?? 0), z: 0, byRows: 0 };
  if (type === 'int32' && !overwrite) head.z = tree(coder, models.z, 5, known?.z ?? 0);
  const row = rowOf(spec);
  if (row >= 64 && row <= 2 ** 28 && elementsOf(spec) > row)
    head.byRows = coder.bit(models.byRows, 0, known?.byRows ?? 0);
  const walked = walk(coder, models, work, head);
  if (!coder.decoding) return walked;
  const made = headOf(work, walked.values, walked.changed);
  if (made?.q !== head.q || made.z !== head.z || made.byRows !== head.byRows) {
    throw new Refused('PATCH_FORMAT', 'a head is not that of its changes');
  }
  return walked;
}

function walk(coder: Coder, models: Models, work: Work, head: Head): Walked {
  const { spec, overwrite, base, target } = work;
  const { type } = spec;
  const n = base.length;
  const row = rowOf(spec);
  const values = Uint32Array.from(base);
  const changed = new Uint8Array(n);
  const down = new Uint8Array(n);
  const markOf = (i: number) => (overwrite ? 63 : work.marks[i]!);
  const contextAt = (i: number) => contextOf(overwrite ? 0 : classOf(type, base[i]!), markOf(i));

  let d = 2 ** -Math.floor(head.q / 4);
  for (let i = 0; i < head.q % 4; i++) d *= 0.8408964152537145;
  rebuild(models, d);
  if (n <= 65_536) {
    let H = 0;
    for (let i = 0; i < n; i++) H += models.hazard[contextAt(i)]!;
    models.a.fill(Math.min(Math.floor((d * n * 2 ** 32) / H), 65_536));
    models.b.fill(2 ** 32);
  }
  const stride = n <= 65_536 ? 1 : n <= 1_048_576 ? 4 : 16;

  let S = 0;
  let at = -1;
  let c = 0n;
  let e = 0n;
  let last = { row: -1, went: 0, size: 0 };
  let segment = 0;
  for (let from = 0, to = 0; from < n; from = to, segment++) {
    to = Math.min(n, from + (head.byRows ? 128 : 512));
    if (head.byRows) {
      to = Math.min(to, (Math.floor(from / row) + 1) * row, (Math.floor(from / BLOCK) + 1) * BLOCK);
    }
    let young = 0;
    for (let i = from; i < to; i++) if ((markOf(i) & 63) < 16) young++;
    const activity = bitLength(young);
    let f = factorOf(models, activity);
    if (head.byRows) {
      if (from % row === 0) {
        c = 8n * BigInt(f);
        e = 8n << 24n;
      }
      f = limit(Number((c << 24n) / e), models.hmax);
    }

    let changes = 0;
    let hazards = 0;
    let S0 = S;
    let sum = 0;
    for (let i = from; i < to; i++) {
      if (S >= GAP) {
        coder.part(32, chance(S), 2 ** 32);
        S = S0 = sum = 0;
        at = -1;
      }
      const context = contextAt(i);
      hazards += models.hazard[context]!;
      sum += models.hazard[context]!;
      const next = S0 + Math.floor((f * sum) / 1024);
      if (coder.decoding && at < 0) at = coder.at(32);
      if (target ? target[i] === base[i] : at >= chance(next)) {
        S = next;
        continue;
      }
      coder.part(32, chance(S), chance(next));
      S = S0 = sum = 0;
      at = -1;
      changes++;
      changed[i] = 1;
      if (overwrite) {
        values[i] = codeWhole(coder, models, type, target?.[i] ?? 0);
        continue;
      }
      const inRow = Math.floor(i / row);
      if (last.row !== inRow) last = { row: inRow, went: 0, size: 0 };
      const mark = grown(work.marks[i]!);
      const r = (mark & 63) === 63 ? last.went : mark >> 6;
      const l = type === 'int8' || type === 'int32' ? last.size : classOf(type, base[i]!);
      const known = stepBetween(type, base[i]!, target?.[i] ?? base[i]!, head.z);
      const made = codeStep(coder, models, type, 4 * bucketOf(mark & 63) + r, l, known);
      values[i] = afterStep(type, base[i]!, made, head.z);
      down[i] = made.step < 0 ? 1 : 0;
      last = { row: inRow, went: 1 + down[i]!, size: Math.min(3, Math.abs(made.step)) };
    }

    learnActivity(models, activity, changes, hazards);
    c += 1024n * BigInt(changes);
    e += BigInt(hazards);
    if (segment % stride !== 0) continue;
    for (let i = from; i < to; i++) {
      models.newN[contextAt(i)]!++;
      models.newK[contextAt(i)]! += changed[i]!;
    }
    models.counted += to - from;
    if (isDue(models)) rebuild(models, d);
  }
  coder.part(32, chance(S), 2 ** 32);
  return { head, values, changed, down };
}
