import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

/**
 * Code that decides must give the same bits in every engine: ECMA-262 leaves sin, pow, exp and the like to the
 * implementation, and clocks and Math.random are not functions of the ledger.
 */
const DECIDING = ['policy', 'environments', 'training', 'protocol', 'replica', 'ledger', 'params'];

/** Exactly specified by ECMA-262 or IEEE 754. */
const ALLOWED = new Set(['abs', 'ceil', 'clz32', 'floor', 'fround', 'imul', 'max', 'min', 'sqrt']);

const root = fileURLToPath(new URL('../../src/', import.meta.url));
const files = DECIDING.flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: root })).sort();

/** What a source file may not contain, each with its line. Comments do not count. */
function violations(source: string): string[] {
  const code = source
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/(^|[^:'"`])\/\/.*$/gm, '$1');
  const found: string[] = [];
  for (const [index, line] of code.split('\n').entries()) {
    const report = (what: string) => found.push(`${index + 1}: ${what}`);
    for (const [, name] of line.matchAll(/\bMath\s*\.\s*(\w+)/g)) {
      if (!ALLOWED.has(name!)) report(`Math.${name}`);
    }
    if (/\bMath\s*\[|=\s*Math\s*[;,}]/.test(line)) report('Math taken apart');
    // A literal power of two is folded exactly; nothing else is promised.
    for (const [power] of line.matchAll(/[\w.)\]]+\s*\*\*=?\s*[\w.(-]+/g)) {
      if (!/^2n? \*\* \d+n?$/.test(power) && !/^2 \*\* \($/.test(power)) report(power);
    }
    if (/\bDate\b|\bperformance\b|\bMath\.random\b|\bcrypto\b/.test(line)) report(line.trim());
  }
  return found;
}

test('the folders of deciding code are there', () => {
  for (const folder of DECIDING) {
    if (folder === 'training') continue;
    expect(files.some((file) => file.startsWith(folder))).toBe(true);
  }
});

test.each(files)('%s uses only operations that every engine computes alike', (file) => {
  expect(violations(readFileSync(`${root}${file}`, 'utf8'))).toEqual([]);
});

test.each([
  'const a = Math.sin(x);',
  'const a = Math.pow(2, x);',
  'const a = Math . exp(x);',
  "const a = Math['log'](x);",
  'const { exp } = Math;',
  'const a = x ** 2;',
  'const a = 1.5 ** y;',
  'let a = 2; a **= y;',
  'const a = Math.random();',
  'const a = Date.now();',
  'const a = performance.now();',
  'const a = Math.round(x);',
])('the ban finds %s', (line) => {
  expect(violations(line)).toHaveLength(line.includes('random') ? 2 : 1);
});

test.each([
  'const a = 2 ** 24;',
  '// Math.sin and x ** y are banned',
  '/* Math.sin */ const a = Math.floor(1);',
  "const url = 'https://example.org'; const b = Math.max(1, 2);",
])('the ban lets %s pass', (line) => {
  expect(violations(line)).toEqual([]);
});
