import { type Contexts, contexts } from './range-coder.ts';
import { freshSymbols, type SymbolModel } from './values.ts';

/** PULSE, Hazards, Contexts and models of docs/PROTOCOL.md: what the coder knows of one element type. */

export type Type = 'int8' | 'int32' | 'bf16' | 'f16' | 'f32';
export const TYPES: readonly Type[] = ['int8', 'int32', 'bf16', 'f16', 'f32'];
export const isFloat = (type: Type): boolean => type !== 'int8' && type !== 'int32';

const BUCKET_FROM = [0, 1, 2, 3, 4, 6, 8, 11, 15, 20, 28, 40, 63];
export const bucketOf = (age: number): number => BUCKET_FROM.findLastIndex((from) => age >= from);
export const bitLength = (x: number): number => 32 - Math.clz32(x);

/** Of int8 and int32 the number that a pattern stands for. */
export const signed = (type: Type, pattern: number): number =>
  type === 'int8' ? (pattern << 24) >> 24 : pattern | 0;

export function classOf(type: Type, pattern: number): number {
  if (type === 'bf16') return (pattern >>> 7) & 255;
  if (type === 'f32') return (pattern >>> 23) & 255;
  if (type === 'f16') return (pattern >>> 10) & 31;
  return bitLength(Math.abs(signed(type, pattern)));
}

const CUMULATIVE: number[] = [];
for (let j = 0, e = 2 ** 32; j < 1024; j++, e *= 0.9844964370054085) CUMULATIVE.push(Math.floor(2 ** 32 - e));

export function chance(s: number): number {
  const j = Math.floor(s / 2 ** 18);
  const start = CUMULATIVE[j]!;
  return start + Math.floor(((CUMULATIVE[j + 1]! - start) * (s % 2 ** 18)) / 2 ** 18);
}

export function hazardOf(p: number): number {
  let x = 1 - Math.min(p, 0.98);
  let t = 0;
  while (x < 0.5) {
    x = 2 * x;
    t = t + Math.LN2;
  }
  const z = (1 - x) / (1 + x);
  const q = z * z;
  let w = z;
  let u = 0;
  for (let o = 1; o <= 15; o += 2) {
    u = u + w / o;
    w = w * q;
  }
  return Math.floor(Math.max((t + 2 * u) * 2 ** 24, 256));
}

export const CONTEXTS_PER_CLASS = 26;
const CLASSES = 256;

export const contextOf = (class_: number, mark: number): number =>
  class_ * CONTEXTS_PER_CLASS + ((mark >> 6) & 1) * 13 + bucketOf(mark & 63);

export interface Models {
  n: Float64Array;
  k: Float64Array;
  /** Counted since the last rebuild. */
  newN: Float64Array;
  newK: Float64Array;
  counted: number;
  /** The sum of all n at the last rebuild. */
  all: number;
  hazard: Float64Array;
  hmax: number;
  a: number[];
  b: number[];
  any: Contexts;
  q: Contexts;
  z: Contexts;
  byRows: Contexts;
  sign: Contexts;
  size: Contexts;
  length: Contexts;
  flipLength: Contexts;
  symbols: SymbolModel[];
}

const counts = () => new Float64Array(CLASSES * CONTEXTS_PER_CLASS);

export function freshModels(): Models {
  return {
    n: counts(),
    k: counts(),
    newN: counts(),
    newK: counts(),
    counted: 0,
    all: 0,
    hazard: counts(),
    hmax: 0,
    a: new Array(16).fill(0),
    b: new Array(16).fill(0),
    any: contexts(1),
    q: contexts(128),
    z: contexts(32),
    byRows: contexts(1),
    sign: contexts(4 * 13),
    size: contexts(4 * CLASSES),
    length: contexts(64 * CLASSES),
    flipLength: contexts(64),
    symbols: [0, 1, 2, 3].map(freshSymbols),
  };
}

function addCounted(models: Models): void {
  const { n, k, newN, newK } = models;
  for (let i = 0; i < n.length; i++) {
    const halves = n[i]! + newN[i]! > 2 ** 30 ? 2 : 1;
    n[i] = Math.floor((n[i]! + newN[i]!) / halves);
    k[i] = Math.floor((k[i]! + newK[i]!) / halves);
  }
  newN.fill(0);
  newK.fill(0);
  models.counted = 0;
}

const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);

export function rebuild(models: Models, d: number): void {
  addCounted(models);
  const { n, k, hazard } = models;
  for (let class_ = 0; class_ < CLASSES; class_++) {
    const from = class_ * CONTEXTS_PER_CLASS;
    const to = from + CONTEXTS_PER_CLASS;
    const N = sum(n.subarray(from, to));
    const p = (sum(k.subarray(from, to)) + 1) / (N + 1 / d);
    if (N === 0) hazard.fill(hazardOf(p), from, to);
    else for (let i = from; i < to; i++) hazard[i] = hazardOf((k[i]! + 1) / (n[i]! + 1 / p));
  }
  models.all = sum(n);
  models.hmax = hazard.reduce((most, h) => Math.max(most, h), 0);
  models.a = models.a.map((a) => Math.floor(a / 4));
  models.b = models.b.map((b) => Math.floor(b / 4));
}

export const isDue = (models: Models): boolean =>
  models.counted >= Math.min(131_072, 512 + Math.floor(models.all / 2));

export function fade(models: Models): void {
  addCounted(models);
  models.n = models.n.map((n) => n - Math.floor((n + 7) / 8));
  models.k = models.k.map((k) => k - Math.floor((k + 7) / 8));
}

export const limit = (f: number, hmax: number): number =>
  Math.max(16, Math.min(f, 16_384, Math.floor(2 ** 36 / hmax)));

export const factorOf = ({ a, b, hmax }: Models, activity: number): number =>
  limit(Math.floor(((a[activity]! + 16) * 2 ** 34) / (b[activity]! + 16 * 2 ** 24)), hmax);

export function learnActivity(models: Models, activity: number, changes: number, hazards: number): void {
  let a = models.a[activity]! + changes;
  let b = models.b[activity]! + hazards;
  while (b > 256 * 2 ** 24 || a > 65_536) {
    a = Math.floor(a / 2);
    b = Math.floor(b / 2);
  }
  models.a[activity] = a;
  models.b[activity] = b;
}
