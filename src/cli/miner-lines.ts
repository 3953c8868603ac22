import { describeEvent, type MinerEvent } from '../../rollouts/events.ts';
import type { MinerSummary } from '../../rollouts/miner.ts';
import type { MinerStatus, WindowStatus, WorkStatus } from '../../rollouts/status.ts';
import type { NetworkView } from '../../rollouts/view.ts';
import { beside, columns, duration, printable, shortHex, wrap } from './text.ts';

/** Colours a line: bold for the title, red for what needs somebody. */
export type Paint = (style: 'bold' | 'red', line: string) => string;

const CODES = { bold: 1, red: 31 } as const;

/** Colours where the terminal may show them: https://no-color.org. */
export function painter(env: Readonly<Record<string, string | undefined>>): Paint {
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== '') return (_style, line) => line;
  return (style, line) => `\u001b[${CODES[style]}m${line}\u001b[0m`;
}

type LastRejection = NonNullable<MinerStatus['lastRejection']>;

const plain: Paint = (_style, line) => line;

/** Columns of the longest progress bar. */
const BAR = 24;
const LABEL = 10;

const count = (value: number | bigint) => value.toLocaleString('en');
const label = (name: string) => `${name.padEnd(LABEL - 1)} `;

/** What stands on a miner's terminal, each line at most `width` columns where words allow. */
export function statusLines(
  title: string,
  parts: { readonly status: MinerStatus; readonly view: NetworkView; readonly summary: MinerSummary },
  width: number,
  paint: Paint = plain,
): string[] {
  const { status, view, summary } = parts;
  const { lastRejection, trouble } = status;
  const field = (name: string, text: string) => beside(label(name), shortHex(printable(text)), width);
  const windows = status.over ? [] : status.windows(view);
  return [
    ...wrap(shortHex(printable(title)), width).map((line) => paint('bold', line)),
    ...windows.flatMap((window) => windowLines(window, width)),
    ...field(
      'windows',
      `${count(summary.windows)} taken part in, ${count(status.accepted)} accepted, ${count(status.rejected)} rejected`,
    ),
    ...field('credits', credits(status, view)),
    ...(lastRejection === null
      ? []
      : field('rejected', rejectionText(lastRejection)).map((line) => paint('red', line))),
    ...(trouble === null ? [] : field('now', describeEvent(trouble)).map((line) => paint('red', line))),
    ...(status.over ? [] : field('Ctrl-C', ending(status, windows))),
  ];
}

function windowLines({ window, phase, seconds, doing, work }: WindowStatus, width: number): string[] {
  const since = duration(Math.floor(seconds), 0);
  const first = beside(label(`window ${window}`), `${phase} for ${since}: ${doing}`, width);
  if (work === null) return first;
  const indent = ' '.repeat(LABEL);
  const bar = progressBar(work, Math.min(BAR, width - LABEL));
  const text = workText(work);
  const oneLine = `${indent}${bar} ${text}`;
  if (columns(oneLine) <= width) return [...first, oneLine];
  return [...first, indent + bar, ...beside(indent, text, width)];
}

function progressBar({ done, total }: WorkStatus, width: number): string {
  const inner = Math.max(1, width - 2);
  const full = Math.min(inner, Math.floor((inner * done) / total));
  return `[${'#'.repeat(full)}${'.'.repeat(inner - full)}]`;
}

function workText({ done, total, unit, perSecond, etaSeconds }: WorkStatus): string {
  const rate = perSecond === null || unit === 'proofs' ? '' : `, ${count(perSecond)}/s`;
  const left = etaSeconds === null ? '' : `, ${duration(etaSeconds)} left`;
  return `${count(done)} of ${count(total)} ${unit}${rate}${left}`;
}

function credits({ lastVerdict }: MinerStatus, view: NetworkView): string {
  const total = `${count(view.credit)} in all`;
  const notice = view.genesis.insecureDev ? ' (insecure-dev: worth nothing)' : '';
  if (lastVerdict === null) return `${total}${notice}`;
  const { window, credit, share } = lastVerdict;
  return `${count(credit)} in window ${window}, ${(100 * share).toFixed(1)}% of its emission; ${total}${notice}`;
}

function rejectionText({ at, window, message, code, reason, advice }: LastRejection): string {
  const where = window === null ? '' : `window ${window}: `;
  return at === 'verdict'
    ? `${where}${reason} ${advice}`
    : `${where}${message}: ${code}: ${reason}. ${advice}`;
}

function ending({ stopping }: MinerStatus, windows: readonly WindowStatus[]): string {
  if (!stopping) return 'finishes the windows under way, then stops';
  const under = windows.filter(({ doing }) => doing !== 'not enrolled').map(({ window }) => window);
  const waits = under.length === 0 ? '' : ` after window ${under.join(', ')}`;
  return `stopping${waits}; again to stop at once, which costs their credit and the bond`;
}

/** Events that the status shows better than a line does. */
const SHOWN = new Set<MinerEvent['event']>([
  'enrolled',
  'phase',
  'policy',
  'playing',
  'rollouts',
  'committed',
  'opened',
  'proved',
]);

/** Whether an event deserves a line of its own above a live status. */
export function deservesLine({ event }: MinerEvent): boolean {
  return !SHOWN.has(event);
}
