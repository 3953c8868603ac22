import { concat, utf8 } from '../../src/protocol/bytes.ts';

/** Alters inputs of parsers, by what they are made of: JSON by its tree and its text, binary formats by their bytes. */

/** A number below `bound`, as `seededRandom` of support/pulse.ts gives. */
export type Random = (bound: number) => number;

const pick = <T>(random: Random, from: readonly T[]): T => from[random(from.length)]!;

/** Values that parsers and checks are known to stumble over. */
const ODD: readonly unknown[] = [
  ...[null, true, false, 0, -0, -1, 1, 0.5, -0.5, 2 ** 31, 2 ** 32, 2 ** 40, 2 ** 40 + 1, 2 ** 53, 1e21],
  ...[1e308, 5e-324, '', '0', '0x', '0x0', '0X00', 'NaN', 'null', ' ', '__proto__', 'constructor', '\u0000'],
  ...['\ud800', '\udc00x', '../..', '%00', `0x${'00'.repeat(20)}`, `0x${'ff'.repeat(32)}`, 'ä'.repeat(300)],
  ...[[], {}, [[]], [null], { length: 1 }, { toString: null }, 'x'.repeat(5_000)],
];

const odd = (random: Random) => structuredClone(pick(random, ODD));

/** Names that mean something to the language. */
const NAMES = ['__proto__', 'constructor', 'prototype', 'toString', 'toJSON', 'hasOwnProperty', '', 'length'];

type Tree = Record<string, unknown> | unknown[];
const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null;

/** Every object and array of a value, the value first. */
function trees(value: unknown, found: Tree[] = []): Tree[] {
  if (!isTree(value)) return found;
  found.push(value);
  for (const child of Object.values(value)) trees(child, found);
  return found;
}

/** A value near this one. */
function near(value: unknown, random: Random): unknown {
  if (typeof value === 'number') {
    return pick(random, [value + 1, value - 1, -value, value * 2, value / 2, value + 0.5, 2 ** random(60)]);
  }
  if (typeof value === 'string') {
    const at = random(value.length + 1);
    const other = pick(random, [...'0123456789abcdefABCXxg"\\/ -.é\u0000\ud800']);
    return pick(random, [
      value.slice(0, at) + other + value.slice(at + 1),
      value.slice(0, at) + other + value.slice(at),
      value.slice(0, at),
      value.slice(at),
      value + value,
      value.toUpperCase(),
    ]);
  }
  if (Array.isArray(value)) {
    const at = random(value.length + 1);
    return pick(random, [
      () => [...value, ...value],
      () => [...value.slice(0, at), ...value.slice(at + 1)],
      () => [...value].reverse(),
      () => Object.fromEntries(Array.from(value, (element, index) => [index, element])),
      () => new Array(random(40)).fill(value[0] ?? null),
    ])();
  }
  return odd(random);
}

/** Changes one thing of a tree in its place, or takes something out of another one. */
function changeTree(root: unknown, other: unknown, random: Random): void {
  const tree = pick(random, trees(root));
  const names = Object.keys(tree);
  const set = (name: string, value: unknown) =>
    Object.defineProperty(tree, name, { value, enumerable: true, configurable: true, writable: true });
  const name = names.length === 0 ? '0' : pick(random, names);
  const before = Object.getOwnPropertyDescriptor(tree, name)?.value;
  switch (random(8)) {
    case 0:
      set(name, odd(random));
      break;
    case 1:
      delete (tree as Record<string, unknown>)[name];
      break;
    case 2:
      if (!Array.isArray(tree)) set(pick(random, NAMES), odd(random));
      break;
    case 3:
      if (!Array.isArray(tree)) set(String(near(name, random)), before);
      break;
    case 4: {
      const foreign = trees(other);
      if (foreign.length > 0) set(name, structuredClone(pick(random, Object.values(pick(random, foreign)))));
      break;
    }
    default:
      set(name, near(before, random));
  }
}

/** Changes the text itself: what a writer of JSON would not write. */
function changeText(text: string, random: Random): string {
  const at = random(text.length + 1);
  const junk = pick(random, [
    ...[' ', '\n', ',', ':', '"', '{', '}', '[', ']', '\\', '\\u0000', '\\ud800', '\ufeff', '\u2028', 'ÿ'],
    ...[
      '1e400',
      '-',
      '0',
      '00',
      '1.0',
      '1e0',
      'NaN',
      '//',
      '"a":1,',
      '"__proto__":{"x":1},',
      '[['.repeat(300),
    ],
  ]);
  return pick(random, [
    () => text.slice(0, at) + junk + text.slice(at),
    () => text.slice(0, at) + junk + text.slice(at + 1),
    () => text.slice(0, at),
    () => text + junk,
    () => text.slice(0, at) + text.slice(random(text.length + 1)),
    // A member given twice.
    () => text.replace(/[{,]("[^"]*":[^,{}[\]]+),/, (all, member) => `${all}${member},`),
  ])();
}

/** JSON of a value that is like the first, as text: of its tree, its text or its bytes something is changed. */
export function mutatedJson(value: unknown, other: unknown, random: Random): Uint8Array {
  const holder = [structuredClone(value)];
  if (random(8) > 0) for (let i = 0; i <= random(3); i++) changeTree(holder, other, random);
  let text = JSON.stringify(holder[0]) ?? 'undefined';
  if (random(4) === 0) text = changeText(text, random);
  const bytes = utf8(text);
  if (random(16) === 0 && bytes.length > 0) bytes[random(bytes.length)] = random(256);
  return bytes;
}

/** Bytes like the first. */
export function mutatedBytes(bytes: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  const out = bytes.slice();
  const at = random(out.length + 1);
  const noise = (length: number) => Uint8Array.from({ length }, () => random(256));
  switch (random(9)) {
    case 0:
    case 1:
      if (out.length > 0) out[random(out.length)]! ^= 1 << random(8);
      return out;
    case 2:
      for (let i = 0; i <= random(6) && out.length > 0; i++) out[random(out.length)] = random(256);
      return out;
    case 3:
      return out.subarray(0, at);
    case 4:
      return concat(out, noise(1 + random(9)));
    case 5:
      return concat(out.subarray(0, at), other.subarray(random(other.length + 1)));
    case 6:
      return concat(
        out.subarray(0, at),
        noise(random(3)),
        out.subarray(Math.min(out.length, at + random(3))),
      );
    case 7: {
      // A number of four or eight bytes at one of its ends.
      const width = pick(random, [4, 8]);
      const extreme = pick(random, [0x00, 0x7f, 0x80, 0xff]);
      const start = width * random(Math.floor(out.length / width) + 1);
      out.subarray(start, start + width).fill(extreme);
      return out;
    }
    default:
      return noise(random(200));
  }
}
