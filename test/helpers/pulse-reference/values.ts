import { bitLength, isFloat, type Models, signed, type Type } from './models.ts';
import { type Coder, type Contexts, Refused, raw } from './range-coder.ts';

/** PULSE, Values of docs/PROTOCOL.md, and the whole values of anchors and overwriting patches. */

export function length(coder: Coder, of: Contexts, from: number, value: number): number {
  let L = value < 2 ** 32 ? bitLength(value) - 1 : 32;
  let j = 0;
  while (coder.bit(of, from + j, j < L ? 1 : 0) === 1) {
    if (++j > 32) throw new Refused('PATCH_FORMAT', 'a length of more than 33 bits');
  }
  L = j;
  let v = 1;
  let left = L;
  if (L > 0) {
    left--;
    v = 2 * v + coder.bit(of, from + 32 + L - 1, Math.floor(value / 2 ** left) % 2);
  }
  while (left > 0) {
    const k = Math.min(left, 16);
    left -= k;
    v = v * 2 ** k + raw(coder, k, Math.floor(value / 2 ** left) % 2 ** k);
  }
  return v;
}

export interface Step {
  /** Of floats the sign differs. */
  flip: boolean;
  step: number;
}

const SIGN: Record<Type, number> = { int8: 0, int32: 0, bf16: 2 ** 15, f16: 2 ** 15, f32: 2 ** 31 };

export function stepBetween(type: Type, base: number, target: number, z: number): Step {
  if (!isFloat(type)) return { flip: false, step: (signed(type, target) - signed(type, base)) / 2 ** z };
  const sign = SIGN[type];
  return { flip: base >= sign !== target >= sign, step: (target % sign) - (base % sign) };
}

export function afterStep(type: Type, base: number, { flip, step }: Step, z: number): number {
  if (isFloat(type)) {
    const sign = SIGN[type];
    const magnitude = (base % sign) + step;
    if (magnitude < 0 || magnitude >= sign) throw new Refused('PATCH_FORMAT', 'a step leaves the type');
    return magnitude + (base >= sign !== flip ? sign : 0);
  }
  const half = type === 'int8' ? 128 : 2 ** 31;
  const value = signed(type, base) + step * 2 ** z;
  if (value < -half || value >= half) throw new Refused('PATCH_FORMAT', 'a step leaves the type');
  return value < 0 ? value + 2 * half : value;
}

/** A step, `context` being that of "down" and `l` that of the sizes. */
export function codeStep(
  coder: Coder,
  models: Models,
  type: Type,
  context: number,
  l: number,
  known: Step,
): Step {
  const down = coder.bit(models.sign, context, known.step < 0 ? 1 : 0) === 1;
  const size = Math.abs(known.step);
  const made = (m: number, flip: boolean): Step => ({ flip, step: down ? -m : m });
  if (coder.bit(models.size, 4 * l, size === 1 && !known.flip ? 0 : 1) === 0) return made(1, false);
  if (coder.bit(models.size, 4 * l + 1, size === 2 && !known.flip ? 0 : 1) === 0) return made(2, false);
  if (!isFloat(type) || coder.bit(models.size, 4 * l + 2, known.flip ? 1 : 0) === 0) {
    return made(length(coder, models.length, 64 * l, size - 2) + 2, false);
  }
  const m = length(coder, models.flipLength, 0, size + 1) - 1;
  if (down && m === 0) throw new Refused('PATCH_FORMAT', '"down" with a step of nothing');
  return made(m, true);
}

export interface SymbolModel {
  count: number[];
  frequency: number[];
  since: number;
  due: number;
}

export const freshSymbols = (): SymbolModel => ({
  count: new Array(256).fill(0),
  frequency: [],
  since: 0,
  due: 0,
});

export function makeFrequencies(model: SymbolModel): void {
  const T = model.count.reduce((a, b) => a + b, 0);
  model.frequency = model.count.map((count) => Math.floor(((4 * count + 1) * 3840) / (4 * T + 256)) + 1);
  const left = 4096 - model.frequency.reduce((a, b) => a + b, 0);
  model.frequency[model.frequency.indexOf(Math.max(...model.frequency))]! += left;
  model.since = 0;
  model.due = Math.max(16, Math.min(Math.floor(T / 4), 16_384));
  if (T > 2 ** 20) model.count = model.count.map((count) => Math.floor(count / 2));
}

function codeSymbol(coder: Coder, model: SymbolModel, value: number): number {
  const at = coder.decoding ? coder.at(12) : -1;
  let symbol = 0;
  let start = 0;
  while (coder.decoding ? start + model.frequency[symbol]! <= at : symbol < value) {
    start += model.frequency[symbol++]!;
  }
  coder.part(12, start, start + model.frequency[symbol]!);
  model.count[symbol]!++;
  if (++model.since === model.due) makeFrequencies(model);
  return symbol;
}

/** All of a value, as anchors and overwriting patches code it. */
export function codeWhole(coder: Coder, { symbols }: Models, type: Type, value: number): number {
  const symbol = (model: number, shift: number) =>
    codeSymbol(coder, symbols[model]!, (value >>> shift) & 255);
  if (type === 'int8') return symbol(0, 0);
  if (type === 'int32') return [3, 2, 1, 0].reduce((made, i) => made * 256 + symbol(i, 8 * i), 0);
  if (type === 'f32') {
    const high = symbol(0, 23) * 2 ** 23 + symbol(1, 15) * 2 ** 15;
    const rest = raw(coder, 16, (value >>> 31) * 2 ** 15 + (value & 0x7fff));
    return high + (rest & 0x7fff) + (rest >> 15) * 2 ** 31;
  }
  const high = symbol(0, 7) << 7;
  const rest = raw(coder, 8, (value >>> 15) * 128 + (value & 127));
  return high + (rest & 127) + ((rest >> 7) << 15);
}
