import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { packageRoot } from '../../src/storage/package-root.ts';
import { createMetrics, watchProcess } from '../../verifier/metrics/index.ts';

/** A metric as its registry describes it. */
interface Described {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly labelNames: readonly string[];
}

const metrics = createMetrics();
watchProcess(metrics, 'all');
const described = new Map(
  (metrics.registry.getMetricsAsArray() as unknown as Described[]).map((metric) => [metric.name, metric]),
);
const own = [...described.values()].filter(({ name }) => name.startsWith('grail_'));

/** What Prometheus adds to every series, and to those of a scrape. */
const TARGET_LABELS = ['job', 'instance'];
const UP: Described = { name: 'up', help: 'Whether the scrape worked.', type: 'gauge', labelNames: [] };

const read = (...path: string[]) => readFileSync(join(packageRoot(), ...path), 'utf8');

const GROUPING = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g;
const KEYWORDS = [
  'and',
  'or',
  'unless',
  'by',
  'without',
  'on',
  'ignoring',
  'group_left',
  'group_right',
  'bool',
  'offset',
];

/** The metric that a series of an expression belongs to. */
function metricOf(series: string): { metric: Described; part: string } | null {
  if (series === UP.name) return { metric: UP, part: '' };
  const [, base, part] = /^(.*?)(_bucket|_sum|_count)?$/.exec(series)!;
  const histogram = part === undefined ? undefined : described.get(base!);
  if (histogram?.type === 'histogram') return { metric: histogram, part: part! };
  const metric = described.get(series);
  return metric === undefined || metric.type === 'histogram' ? null : { metric, part: '' };
}

/** Problems of a PromQL expression: metrics and labels that do not exist, rates of what is no counter. */
function problems(expression: string): { problems: string[]; labels: Set<string>; metrics: Set<string> } {
  const found: string[] = [];
  const labels = new Set(TARGET_LABELS);
  const used = new Set<string>();
  const text = expression.replaceAll(/\[[^\]]*\]/g, '[]');
  const bare = text.replaceAll(GROUPING, ' ');
  for (const match of bare.matchAll(/([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?(\s*\()?/g)) {
    const [, name, selector = '', call] = match;
    if (call !== undefined || KEYWORDS.includes(name!)) continue;
    // Inside of a selector that was consumed together with its metric nothing is left to match.
    const series = metricOf(name!);
    if (series === null) {
      found.push(`there is no metric ${name}`);
      continue;
    }
    const { metric, part } = series;
    used.add(metric.name);
    const own = [...metric.labelNames, ...(part === '_bucket' ? ['le'] : [])];
    for (const label of own) labels.add(label);
    for (const [, label] of selector.matchAll(/([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*"(?:[^"\\]|\\.)*"/g)) {
      if (!own.includes(label!) && !TARGET_LABELS.includes(label!))
        found.push(`${name} has no label ${label}`);
    }
    const rated = /(?:rate|increase)\($/.test(bare.slice(0, match.index).trimEnd());
    const counts = metric.type === 'counter' || part !== '';
    if (rated !== counts) found.push(`${name} is ${rated ? 'no' : 'a'} counter`);
  }
  for (const [, names] of text.matchAll(GROUPING)) {
    for (const label of names!.split(',').map((each) => each.trim()))
      if (label !== '' && !labels.has(label)) found.push(`no metric of it has a label ${label}`);
  }
  return { problems: found, labels, metrics: used };
}

const datasource = z.strictObject({
  type: z.literal('prometheus'),
  uid: z.string().regex(/^\$\{datasource\}$/),
});
const panelSchema = z.looseObject({
  id: z.int(),
  title: z.string().min(1),
  type: z.enum(['row', 'stat', 'timeseries']),
  gridPos: z.strictObject({ x: z.int(), y: z.int(), w: z.int(), h: z.int() }),
  targets: z
    .array(z.strictObject({ datasource, expr: z.string(), legendFormat: z.string(), refId: z.string() }))
    .default([]),
});
const boardSchema = z.looseObject({
  title: z.string(),
  uid: z.string(),
  templating: z.strictObject({
    list: z.array(z.looseObject({ name: z.string(), definition: z.string().optional() })),
  }),
  panels: z.array(panelSchema),
});

const boards = readdirSync(join(packageRoot(), 'deploy/grafana')).map((file) => ({
  file,
  board: boardSchema.parse(JSON.parse(read('deploy/grafana', file))),
}));

const alerts = read('deploy/prometheus/alerts.yml')
  .split(/^ {6}- alert: /m)
  .slice(1)
  .map((rule) => ({
    name: rule.split('\n')[0]!,
    expr: /^ {8}expr: (.+)$/m.exec(rule)![1]!,
    summary: /^ {10}summary: ["'](.+)["']$/m.exec(rule)![1]!,
  }));

describe.each(boards)('the dashboard $file', ({ board }) => {
  test('asks for metrics and labels that exist', () => {
    const found = board.panels.flatMap(({ title, targets }) =>
      targets.flatMap(({ expr }) => problems(expr).problems.map((problem) => `${title}: ${problem}`)),
    );
    expect(found).toEqual([]);
    expect(board.panels.flatMap(({ targets }) => targets).length).toBeGreaterThan(15);
  });

  test('names its lines by labels that they have', () => {
    for (const { title, targets } of board.panels) {
      for (const { expr, legendFormat } of targets) {
        const kept = [...expr.matchAll(GROUPING)].flatMap(([, names]) =>
          names!.split(',').map((each) => each.trim()),
        );
        const known = kept.some((label) => label !== '') ? kept : [...problems(expr).labels];
        if (expr.includes('group_right')) known.push(...TARGET_LABELS);
        for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
          expect(known, title).toContain(label);
      }
    }
  });

  test('takes its data source and its network from variables', () => {
    const names = board.templating.list.map(({ name }) => name);
    expect(names.slice(0, 2)).toEqual(['datasource', 'job']);
    for (const { definition } of board.templating.list) {
      if (definition === undefined) continue;
      const [, expression, label] = /^label_values\((.*), (\w+)\)$/.exec(definition)!;
      expect(problems(expression!).problems).toEqual([]);
      expect(TARGET_LABELS).toContain(label);
    }
    for (const { targets } of board.panels)
      for (const { expr } of targets) expect(expr).toContain('job=~"$job"');
  });

  test('has panels that neither share a number nor lie on one another', () => {
    expect(new Set(board.panels.map(({ id }) => id)).size).toBe(board.panels.length);
    const taken = new Set<string>();
    for (const {
      gridPos: { x, y, w, h },
      title,
    } of board.panels) {
      expect(x + w, title).toBeLessThanOrEqual(24);
      for (let column = x; column < x + w; column++) {
        for (let line = y; line < y + h; line++) {
          expect(taken.has(`${column} ${line}`), title).toBe(false);
          taken.add(`${column} ${line}`);
        }
      }
    }
  });
});

describe.each(alerts)('the alert $name', ({ expr, summary }) => {
  test('asks for metrics and labels that exist', () => {
    expect(problems(expr).problems).toEqual([]);
  });

  test('says what is wrong by labels that it has', () => {
    const { labels } = problems(expr);
    for (const [, label] of summary.matchAll(/\{\{ \$labels\.(\w+) \}\}/g)) expect(labels).toContain(label);
  });
});

test('the check of expressions finds what is wrong', () => {
  const wrong = (expression: string) => problems(expression).problems;
  expect(wrong('sum by (le) (rate(grail_job_duration_seconds_bucket{kind="train"}[5m]))')).toEqual([]);
  expect(wrong('grail_nothing_total')).toEqual(['there is no metric grail_nothing_total']);
  expect(wrong('rate(grail_job_duration_seconds[5m])')).toEqual([
    'there is no metric grail_job_duration_seconds',
  ]);
  expect(wrong('rate(grail_jobs_total{miner="0x"}[5m])')).toEqual(['grail_jobs_total has no label miner']);
  expect(wrong('sum by (miner) (rate(grail_jobs_total[5m]))')).toEqual(['no metric of it has a label miner']);
  expect(wrong('grail_jobs_total')).toEqual(['grail_jobs_total is a counter']);
  expect(wrong('rate(grail_ledger_entries[5m])')).toEqual(['grail_ledger_entries is no counter']);
});

/** Last words of names: what the figures count or measure. */
const UNITS = ['seconds', 'bytes', 'total', 'info', 'entries', 'items', 'windows', 'miners', 'jobs'];
const NUMBERS = ['version', 'epoch', 'return', 'value'];
const ZERO_OR_ONE = ['ready', 'reachable', 'held'];

describe.each(own)('the metric $name', ({ name, help, type, labelNames }) => {
  test('ends with its unit, a counter with total', () => {
    const unit = name.split('_').at(-1)!;
    expect([...UNITS, ...NUMBERS, ...ZERO_OR_ONE]).toContain(unit);
    expect(unit === 'total').toBe(type === 'counter');
  });

  test('is explained by a sentence', () => {
    expect(help).toMatch(/^[A-Z0-9].{10,}\.$/);
  });

  test('has no label for what there is any number of', () => {
    for (const label of labelNames)
      expect(['miner', 'address', 'window', 'hash', 'id', 'path']).not.toContain(label);
  });

  test('stands in docs/guides/watching.md as it is', () => {
    const labels = labelNames.map((label) => `\`${label}\``).join(', ');
    expect(read('docs/guides/watching.md')).toContain(`| \`${name}\` | ${type} | ${labels} | ${help} |\n`);
  });

  test('is on a dashboard', () => {
    const shown = boards.flatMap(({ board }) => [
      ...board.panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => [...problems(expr).metrics])),
      ...board.templating.list.flatMap(({ definition = '' }) => (definition.includes(name) ? [name] : [])),
    ]);
    expect(shown).toContain(name);
  });
});

test('docs/guides/watching.md names no metric that there is not', () => {
  const named = [...read('docs/guides/watching.md').matchAll(/`(grail_\w+)`/g)].map(([, name]) => name!);
  expect(named.length).toBeGreaterThan(30);
  for (const name of named) expect(metricOf(name) ?? described.get(name), name).toBeTruthy();
});
