import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { StagedFile } from '../storage/staged-file.ts';
import { parquetSink } from './parquet.ts';
import { episodeRows, metricRows, policyRows, replayed, rewardRows, stepRows, windowRow } from './rows.ts';
import type { Row, RowSink, Table, WriteBytes } from './table.ts';
import { EPISODES, METRIC_ROWS, POLICIES, REWARDS, STEPS, WINDOWS } from './tables.ts';
import { EventFile, type Scalars } from './tensorboard.ts';
import { csvSink, jsonLinesSink } from './text.ts';
import { type JudgedWindow, judgedWindows, type Replayable } from './visit.ts';

export const FORMATS = ['parquet', 'csv', 'jsonl', 'tensorboard'] as const;
export type Format = (typeof FORMATS)[number];

type TableFormat = Exclude<Format, 'tensorboard'>;

const SINKS: Readonly<Record<TableFormat, (table: Table, write: WriteBytes) => RowSink>> = {
  parquet: parquetSink,
  csv: csvSink,
  jsonl: jsonLinesSink,
};

/** TensorBoard takes files whose name has `tfevents` in it. */
const EVENT_FILE = join('tensorboard', 'events.out.tfevents.0.grail');

export interface ExportOptions {
  readonly replay: Replayable;
  readonly tables: readonly Table[];
  readonly formats: readonly Format[];
  readonly folder: string;
  readonly onProgress: (progress: { window: number; applied: number; entries: number }) => void;
  readonly signal: AbortSignal;
}

export interface ExportSummary {
  /** Windows that have their verdict. */
  readonly windows: number;
  readonly rows: Readonly<Record<string, number>>;
  /** Below the folder, sorted. */
  readonly files: readonly string[];
}

/**
 * Writes tables of a network into a folder, a file for each table and format. The same entries give the same bytes. All
 * files appear when everything is written; an earlier export's are replaced.
 * @throws GrailError LEDGER_INVALID when an entry breaks a rule; STORAGE_UNAVAILABLE
 */
export async function exportTables(options: ExportOptions): Promise<ExportSummary> {
  const { replay, tables, formats, folder, signal } = options;
  const files = new Files(folder);
  try {
    const kinds = formats.filter((format) => format !== 'tensorboard');
    const written = kinds.length > 0 ? tables : [];
    const outputs = new Map(written.map((table) => [table, new Output(table, kinds, files)]));
    const events = formats.includes('tensorboard') ? new EventFile(files.open(EVENT_FILE)) : null;
    const write = (table: Table, rows: Iterable<Row>) => outputs.get(table)?.write(rows);
    let windows = 0;
    for (const judged of judgedWindows(replay)) {
      const { window } = judged.window;
      options.onProgress({ window, applied: judged.applied, entries: replay.size });
      write(WINDOWS, [windowRow(judged)]);
      write(REWARDS, rewardRows(judged));
      write(METRIC_ROWS, metricRows(judged));
      events?.add(window, scalars(judged));
      for (const commitment of outputs.has(EPISODES) || outputs.has(STEPS) ? replayed(judged) : []) {
        write(EPISODES, episodeRows(commitment));
        write(STEPS, stepRows(commitment));
        await breathe(signal);
      }
      windows++;
      await breathe(signal);
    }
    write(POLICIES, policyRows(replay.state));
    for (const output of outputs.values()) output.finish();
    files.commit();
    const rows = Object.fromEntries([...outputs].map(([{ name }, { rows }]) => [name, rows]));
    return { windows, rows, files: files.names };
  } finally {
    files.close();
  }
}

/** Lets Ctrl-C be heard. */
async function breathe(signal: AbortSignal): Promise<void> {
  await setImmediate();
  signal.throwIfAborted();
}

/** The numbers of a window's row, as TensorBoard groups them. */
function scalars(judged: JudgedWindow): Scalars {
  const { accepted, rejected, slots, credits, patchBytes } = windowRow(judged);
  const values: Record<string, unknown> = {};
  for (const [name, value] of Object.entries({ accepted, rejected, slots, credits, patchBytes })) {
    values[`network/${name}`] = value;
  }
  for (const [name, value] of Object.entries(judged.verdict.update.metrics)) {
    values[`training/${name}`] = value;
  }
  const isNumber = (pair: [string, unknown]): pair is [string, number] => typeof pair[1] === 'number';
  return Object.fromEntries(Object.entries(values).filter(isNumber));
}

/** A table in several formats. */
class Output {
  rows = 0;
  readonly #sinks: readonly RowSink[];

  constructor(table: Table, formats: readonly TableFormat[], files: Files) {
    this.#sinks = formats.map((format) => SINKS[format](table, files.open(`${table.name}.${format}`)));
  }

  write(rows: Iterable<Row>): void {
    for (const row of rows) {
      this.rows++;
      for (const sink of this.#sinks) sink.write(row);
    }
  }

  finish(): void {
    for (const sink of this.#sinks) sink.finish();
  }
}

/** Files of a folder that appear together, at the end. */
class Files {
  readonly #folder: string;
  readonly #staged = new Map<string, StagedFile>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  get names(): string[] {
    return [...this.#staged.keys()].sort();
  }

  open(name: string): WriteBytes {
    const path = join(this.#folder, name);
    mkdirSync(dirname(path), { recursive: true });
    const file = new StagedFile(path);
    this.#staged.set(name, file);
    return (bytes) => file.write(bytes);
  }

  commit(): void {
    for (const file of this.#staged.values()) file.finish();
    for (const file of this.#staged.values()) file.commit();
  }

  close(): void {
    for (const file of this.#staged.values()) file.close();
  }
}
