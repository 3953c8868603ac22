import { pino } from 'pino';
import { currentSpan } from './trace.ts';

/** Where a service writes what it does: one sentence, and fields for machines. */
export interface Log {
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** A log whose lines have these fields too. */
  child(fields: Fields): Log;
}

type Fields = Readonly<Record<string, unknown>>;

/** `text`: level, sentence, fields as key=value, for people. `json`: pino's lines, with the time. */
export const LOG_FORMATS = ['text', 'json'] as const;
/** The least important lines that are written. */
export const LOG_LEVELS = ['info', 'warn', 'error'] as const;

export interface LogOptions {
  readonly format: (typeof LOG_FORMATS)[number];
  readonly level: (typeof LOG_LEVELS)[number];
  /** Takes one line, without its end; it must have written it when it returns, so that a crash loses nothing. */
  readonly write: (line: string) => void;
}

/** A log of bounded lines that nothing a stranger sends can forge, end early, or fill with secrets or escape sequences. */
export function createLog({ format, level, write }: LogOptions): Log {
  const shape = format === 'json' ? (line: string) => line.trimEnd() : textLine;
  const lines = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => write(visible(shape(line))) },
  );
  const log = (inherited: Fields): Log => {
    const at =
      (label: LogOptions['level']) =>
      (message: string, fields: Fields = {}) => {
        if (!lines.isLevelEnabled(label)) return;
        const span = currentSpan();
        const all = { ...(span && { trace: span.traceId }), ...inherited, ...fields };
        lines[label](boundedFields(all), tidy(message));
      };
    return {
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      child: (fields) => log({ ...inherited, ...fields }),
    };
  };
  return log({});
}

/** How often a reader that takes nothing is waited for, 100 ms each time. */
const MOST_WAITS = 10;
/** Bytes of lines that are kept for it then. */
const KEPT_BYTES = 1_048_576;

/**
 * Writes lines to standard error before it returns, whatever that is: Node’s own stream keeps what a full pipe does not
 * take, and loses it in a crash. A reader that stands still is waited for, for a second; after that lines are kept for it,
 * and the newest are dropped when there are too many.
 */
export function standardErrorLines(): (line: string) => void {
  let waits = 0;
  const destination = pino.destination({
    dest: 2,
    sync: true,
    maxLength: KEPT_BYTES,
    retryEAGAIN: () => ++waits < MOST_WAITS,
  });
  destination.on('write', (bytes: number) => {
    if (bytes > 0) waits = 0;
  });
  destination.on('error', () => {});
  return (line) => {
    destination.write(`${line}\n`);
  };
}

/** A log of lines for people, from `info` on. */
export function lineLog(write: (line: string) => void): Log {
  return createLog({ format: 'text', level: 'info', write });
}

/** Characters of one text; a stack fits. */
const TEXT_CHARACTERS = 4_096;
/** Characters of all fields of a line, about. */
const LINE_CHARACTERS = 16_384;
/** Elements of a list, or fields of an object. */
const MOST_ELEMENTS = 32;
const MOST_DEPTH = 4;

/** Names that pino writes itself: a second one in a line would be read in its place. */
const RESERVED = ['level', 'time', 'msg'];

const CREDENTIAL_CHARACTERS = 512;
const CREDENTIALS = /([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/@]{1,512}@/gi;

/** Names of what is never written, whoever passes it. */
const SECRET =
  /(?:^|[a-z_-])(?:key|password|passphrase|secrets?|authorization|cookie|token|credentials?|mnemonic)$/i;

function boundedFields(fields: Fields): Record<string, unknown> {
  const budget = { characters: LINE_CHARACTERS };
  const kept = boundedObject(Object.entries(fields), budget, 0);
  for (const name of RESERVED.filter((name) => name in kept)) {
    kept[`${name}_`] = kept[name];
    delete kept[name];
  }
  return kept;
}

interface Budget {
  characters: number;
}

function boundedObject(entries: [string, unknown][], budget: Budget, depth: number): Record<string, unknown> {
  const kept: Record<string, unknown> = Object.create(null);
  for (const [name, value] of entries.slice(0, MOST_ELEMENTS)) {
    if (spent(name, budget)) break;
    kept[shortened(name)] = SECRET.test(name) && value !== null ? '[secret]' : bounded(value, budget, depth);
  }
  if (Object.keys(kept).length < entries.length) kept.omitted = entries.length - Object.keys(kept).length;
  return kept;
}

function bounded(value: unknown, budget: Budget, depth: number): unknown {
  if (value === null || typeof value === 'boolean' || typeof value === 'number') return value;
  if (typeof value === 'bigint') return shortened(String(value));
  if (value instanceof Error) return boundedText(value.stack ?? String(value), budget);
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
  if (typeof value !== 'object') return value === undefined ? undefined : boundedText(String(value), budget);
  if (depth >= MOST_DEPTH) return '…';
  if (!Array.isArray(value)) return boundedObject(Object.entries(value), budget, depth + 1);
  const kept: unknown[] = [];
  for (const element of value.slice(0, MOST_ELEMENTS)) {
    if (budget.characters <= 0) break;
    kept.push(bounded(element, budget, depth + 1));
  }
  return kept.length < value.length ? [...kept, `… ${value.length - kept.length} more`] : kept;
}

function boundedText(text: string, budget: Budget): string {
  const kept = tidy(text);
  return spent(kept, budget) ? '…' : kept;
}

/** Takes what a text costs in a line; true when the line has no room for it. */
function spent(text: string, budget: Budget): boolean {
  budget.characters -= visible(JSON.stringify(text.slice(0, TEXT_CHARACTERS))).length;
  return budget.characters < 0;
}

function shortened(text: string): string {
  return text.length <= TEXT_CHARACTERS ? text : `${text.slice(0, TEXT_CHARACTERS)}…`;
}

/** A text of bounded size, without the user and password of addresses, which libraries quote in their errors. */
function tidy(text: string): string {
  const start = text.slice(0, TEXT_CHARACTERS + CREDENTIAL_CHARACTERS);
  return shortened(start.replaceAll(CREDENTIALS, '$1…@'));
}

/** With what a terminal or an editor would obey, or what has no form of its own, as JSON's escapes. */
function visible(line: string): string {
  return line.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
}

function textLine(json: string): string {
  const { level, time: _, msg, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const rest = Object.entries(fields).map(([name, value]) => ` ${valueText(name)}=${valueText(value)}`);
  return `${String(level).padEnd(5)} ${msg}${rest.join('')}`;
}

function valueText(value: unknown): string {
  return typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
}
