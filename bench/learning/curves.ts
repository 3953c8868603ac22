import type { Row } from './rows.ts';
import type { LearningTask } from './tasks.ts';

/**
 * Small multiples, one panel a task: mean return over seeds against environment steps, exact and float, with the range of
 * the seeds as a band. Plain SVG without scripts or fonts of its own, legible on light and dark pages.
 */
const PANEL = { width: 300, height: 200, left: 46, right: 12, top: 30, bottom: 26 };
const COLUMNS = 3;
const COLOURS = { exact: '#1f77b4', float: '#e6781e' } as const;
const MUTED = '#808080';

interface Point {
  readonly steps: number;
  readonly mean: number;
  readonly least: number;
  readonly most: number;
}

function points(rows: readonly Row[]): Point[] {
  const [first] = rows;
  if (first === undefined) return [];
  return first.curve.map(([steps], i) => {
    const values = rows.flatMap((row) => (row.curve[i] === undefined ? [] : [row.curve[i]![1]]));
    return {
      steps,
      mean: values.reduce((sum, value) => sum + value, 0) / values.length,
      least: Math.min(...values),
      most: Math.max(...values),
    };
  });
}

export function curvesSvg(tasks: readonly LearningTask[], rows: readonly Row[]): string {
  const panels = tasks.map((task, index) => {
    const x = (index % COLUMNS) * PANEL.width;
    const y = Math.floor(index / COLUMNS) * PANEL.height;
    return `<g transform="translate(${x} ${y})">${panel(task, rows)}</g>`;
  });
  const width = COLUMNS * PANEL.width;
  const height = Math.ceil(tasks.length / COLUMNS) * PANEL.height + 24;
  const legend = (['exact', 'float'] as const)
    .map(
      (name, i) =>
        `<rect x="${14 + i * 90}" y="${height - 16}" width="14" height="4" fill="${COLOURS[name]}"/>` +
        `<text x="${34 + i * 90}" y="${height - 10}">${name}</text>`,
    )
    .join('');
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11" fill="${MUTED}">`,
    '<title>Learning curves: mean return against environment steps</title>',
    ...panels,
    legend,
    `<text x="214" y="${height - 10}">mean return of fresh episodes; the band is the range of the seeds</text>`,
    '</svg>',
    '',
  ].join('\n');
}

function panel(task: LearningTask, rows: readonly Row[]): string {
  const { width, height, left, right, top, bottom } = PANEL;
  const title = `<text x="${left}" y="18" font-weight="bold">${task.task} · ${task.algorithm.toUpperCase()}</text>`;
  const series = (['exact', 'float'] as const).map((arithmetic) => ({
    arithmetic,
    line: points(
      rows.filter(
        (row) => row.task === task.task && row.algorithm === task.algorithm && row.arithmetic === arithmetic,
      ),
    ),
  }));
  const all = series.flatMap(({ line }) => line);
  if (all.length === 0) return `${title}<text x="${left}" y="${height / 2}">not trained yet</text>`;
  let [low, high] = [Math.min(...all.map((p) => p.least)), Math.max(...all.map((p) => p.most))];
  if (high === low) [low, high] = [low - 1, high + 1];
  const px = (steps: number) => left + (steps / task.steps) * (width - left - right);
  const py = (value: number) => height - bottom - ((value - low) / (high - low)) * (height - top - bottom);
  const at = (p: Point, value: number) => `${px(p.steps).toFixed(1)},${py(value).toFixed(1)}`;
  const ticks = [low, (low + high) / 2, high].map(
    (value) =>
      `<line x1="${left}" x2="${width - right}" y1="${py(value).toFixed(1)}" y2="${py(value).toFixed(1)}" stroke="${MUTED}" stroke-opacity="0.25"/>` +
      `<text x="${left - 5}" y="${(py(value) + 4).toFixed(1)}" text-anchor="end">${tick(value)}</text>`,
  );
  const lines = series
    .filter(({ line }) => line.length > 0)
    .map(({ arithmetic, line }) => {
      const colour = COLOURS[arithmetic];
      const band = [...line.map((p) => at(p, p.most)), ...line.toReversed().map((p) => at(p, p.least))].join(
        ' ',
      );
      return (
        `<polygon points="${band}" fill="${colour}" fill-opacity="0.15"/>` +
        `<polyline points="${line.map((p) => at(p, p.mean)).join(' ')}" fill="none" stroke="${colour}" stroke-width="1.6"/>`
      );
    });
  const end = `<text x="${width - right}" y="${height - 10}" text-anchor="end">${task.steps / 1000} k steps</text>`;
  return [title, ...ticks, ...lines, end].join('');
}

function tick(value: number): string {
  return (Math.abs(value) < 10 ? value.toFixed(2) : value.toFixed(0)).replace('-', '−');
}
