import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { curvesSvg } from './curves.ts';
import { randomReturns } from './random.ts';
import { keyText, type Row, rowSchema } from './rows.ts';
import { type LearningTask, SEEDS, TASKS } from './tasks.ts';

const docs = fileURLToPath(new URL('../../docs/', import.meta.url));
const RESULTS = join(docs, 'learning', 'results.json');

/** All rows that were trained, in the table's order. */
export function readRows(): Row[] {
  if (!existsSync(RESULTS)) return [];
  return z.array(rowSchema).parse(JSON.parse(readFileSync(RESULTS, 'utf8')));
}

/** Adds a row, in place of an older one of its key. */
export function keepRow(row: Row): void {
  const rows = readRows().filter((other) => keyText(other) !== keyText(row));
  rows.push(row);
  const order = (of: Row) => TASKS.findIndex((t) => t.task === of.task && t.algorithm === of.algorithm);
  rows.sort((a, b) => order(a) - order(b) || (keyText(a) < keyText(b) ? -1 : 1));
  write(RESULTS, `[\n${rows.map((of) => JSON.stringify(of)).join(',\n')}\n]\n`);
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.part`, text);
  renameSync(`${path}.part`, path);
}

/** Writes the table and the curves. */
export function writeReport(rows: readonly Row[]): void {
  write(join(docs, 'learning', 'curves.svg'), curvesSvg(TASKS, rows));
  write(join(docs, 'LEARNING.md'), table(rows));
}

interface Statistic {
  readonly mean: number;
  readonly deviation: number | null;
  readonly count: number;
}

function statistic(rows: readonly Row[]): Statistic | null {
  if (rows.length === 0) return null;
  const mean = rows.reduce((sum, row) => sum + row.meanReturn, 0) / rows.length;
  const squares = rows.reduce((sum, row) => sum + (row.meanReturn - mean) ** 2, 0);
  return {
    mean,
    deviation: rows.length > 1 ? Math.sqrt(squares / (rows.length - 1)) : null,
    count: rows.length,
  };
}

function shown(value: Statistic | null): string {
  if (value === null) return 'missing';
  const digits = Math.abs(value.mean) < 10 ? 3 : 1;
  const spread = value.deviation === null ? '' : ` ± ${value.deviation.toFixed(digits)}`;
  const seeds = value.count === SEEDS.length ? '' : ` (${value.count} of ${SEEDS.length} seeds)`;
  return `${number(value.mean, digits)}${spread}${seeds}`;
}

const number = (value: number, digits: number) => value.toFixed(digits).replace('-', '−');

/** Whether exact is no worse than float within one standard deviation (the larger of the two over seeds). */
function verdict(exact: Statistic | null, float: Statistic | null): string {
  if (exact?.deviation == null || float?.deviation == null) return 'not yet known';
  const margin = Math.max(exact.deviation, float.deviation);
  return exact.mean >= float.mean - margin ? 'yes' : `no: ${number(exact.mean - float.mean, 2)}`;
}

function table(rows: readonly Row[]): string {
  const of = (task: LearningTask, arithmetic: Row['arithmetic']) =>
    rows.filter(
      (row) => row.task === task.task && row.algorithm === task.algorithm && row.arithmetic === arithmetic,
    );
  const lines = TASKS.map((task) => {
    const [exact, float] = [statistic(of(task, 'exact')), statistic(of(task, 'float'))];
    const steps = task.steps % 1_000_000 === 0 ? `${task.steps / 1_000_000} M` : `${task.steps / 1000} k`;
    return `| ${task.task} | ${task.algorithm.toUpperCase()} | ${steps} | ${shown(exact)} | ${shown(float)} | ${verdict(exact, float)} | ${randomReturns(task.task)} | ${task.reference?.text ?? '–'} |`;
  });
  const done = new Set(rows.map(keyText));
  const missing = TASKS.flatMap(({ task, algorithm }) =>
    SEEDS.flatMap((seed) =>
      (['exact', 'float'] as const).map((arithmetic) => keyText({ task, algorithm, seed, arithmetic })),
    ),
  ).filter((key) => !done.has(key));
  const tasksOf = new Map<string, Set<string>>();
  for (const { task, reference } of TASKS) {
    if (reference === null) continue;
    tasksOf.set(reference.source, (tasksOf.get(reference.source) ?? new Set()).add(task));
  }
  const mismatch = rows.reduce((most, row) => Math.max(most, row.mismatchKl ?? 0), 0);
  return [
    '# Learning',
    '',
    'What the exact integer policies reach, beside the same network trained in float32 by the same code with the same',
    'seeds, and beside what others publish. Returns are means over 100 fresh episodes of the final policy with actions',
    'sampled as miners sample them; ± is the standard deviation over seeds. Nothing is picked: no best checkpoint, no',
    'annealing, one setting a task (`src/params/recipes.ts`), lag 1.',
    '',
    '| task | algorithm | steps | exact | float32 | exact no worse? | random | published |',
    '|---|---|---|---|---|---|---|---|',
    ...lines,
    '',
    '"Exact no worse" compares the means and allows one standard deviation, the larger of the two.',
    `The largest mismatch KL of all exact runs: ${mismatch}.`,
    '',
    'Where the last column comes from:',
    '',
    ...[...tasksOf].map(([source, names]) => `- ${[...names].join(', ')}: ${source}`),
    '',
    'The MinAtar paper (Young and Tian, arXiv 1903.03176) prints curves over 5 M frames and no table; where a game has no published number here,',
    'none at 1 M steps was found.',
    '',
    '![Learning curves](learning/curves.svg)',
    '',
    'Every run, with its curve, its policyRoot and the command that gives it again: [learning/results.json](learning/results.json).',
    'An exact row gives the same policyRoot on any machine.',
    '',
    '## Not trained yet',
    '',
    ...(missing.length === 0
      ? ['Nothing: every row is there.']
      : [...missing.map((key) => `- ${key}`), '', '`npm run bench -- learn --resume` trains them.']),
    '',
  ].join('\n');
}
