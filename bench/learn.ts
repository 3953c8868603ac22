/**
 * Trains named tasks with named seeds, in exact and in float arithmetic, through the trainer alone (no network, no proofs),
 * and writes docs/learning/results.json, the table docs/LEARNING.md and the curves docs/learning/curves.svg. A row is
 * one (task, algorithm, seed, arithmetic), runs in a process of its own and is kept as soon as it is done.
 *
 *     npm run bench -- learn                                        every row of the table
 *     npm run bench -- learn --resume --jobs 2                      those that are missing, two at a time
 *     npm run bench -- learn --task CartPole-v1 --seeds 1 --steps 40000    a look; nothing is written
 *     npm run bench -- learn --table                                table and curves again from the results
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { useNodeSha256 } from '../src/storage/node-hash.ts';
import { keepRow, readRows, writeReport } from './learning/report.ts';
import { keyText, type Row, type RowKey, rowSchema } from './learning/rows.ts';
import { runRow } from './learning/run.ts';
import { LAG, type LearningTask, SEEDS, TASKS } from './learning/tasks.ts';

const EPISODES = 100;
const POINTS = 20;

const USAGE = `npm run bench -- learn [flags]

  --task ID           of the table, may be repeated (default: all)
  --algorithm NAME    ppo or grpo (default: both)
  --seeds 1,2,3       (default: the table's)
  --arithmetic LIST   exact, float or both (default: exact,float)
  --steps N           environment steps instead of the table's: a look, nothing is written
  --lag N             windows that the acting policy is behind, 0 to 8; another than ${LAG} is a look
  --jobs N            rows at a time (default: 1)
  --resume            only the rows that are missing
  --table             write table and curves again from the results
  --json              the rows as JSON on the last line of stdout`;

function fail(message: string): never {
  console.error(`USAGE: ${message}; see npm run bench -- learn --help`);
  process.exit(2);
}

function whole(flag: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < least || value > most) {
    fail(`${flag} takes whole numbers from ${least} to ${most}, not ${text}`);
  }
  return value;
}

useNodeSha256();
const { values: flags } = parseArgs({
  options: {
    task: { type: 'string', multiple: true },
    algorithm: { type: 'string' },
    seeds: { type: 'string', default: SEEDS.join(',') },
    arithmetic: { type: 'string', default: 'exact,float' },
    lag: { type: 'string', default: String(LAG) },
    steps: { type: 'string' },
    jobs: { type: 'string', default: '1' },
    resume: { type: 'boolean', default: false },
    table: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    row: { type: 'boolean', default: false },
  },
});
if (flags.help) {
  console.log(USAGE);
  process.exit(0);
}
const seeds = flags.seeds.split(',').map((seed) => whole('--seeds', seed, 0, 0xffff_ffff));
const arithmetics = flags.arithmetic.split(',');
for (const name of arithmetics) {
  if (name !== 'exact' && name !== 'float') fail(`--arithmetic takes exact, float or both, not ${name}`);
}
const lag = whole('--lag', flags.lag, 0, 8);
const steps = flags.steps === undefined ? null : whole('--steps', flags.steps, 1, 1_000_000_000);
const jobs = whole('--jobs', flags.jobs, 1, 64);
const tasks = TASKS.filter(
  ({ task, algorithm }) =>
    (flags.task === undefined || flags.task.includes(task)) &&
    (flags.algorithm === undefined || flags.algorithm === algorithm),
);
if (tasks.length === 0) {
  const known = TASKS.map(({ task, algorithm }) => `${task} (${algorithm})`).join(', ');
  fail(`no such task; the table has ${known}`);
}
const keys = tasks.flatMap((task) =>
  seeds.flatMap((seed) =>
    arithmetics.map((arithmetic) => ({
      task,
      key: {
        task: task.task,
        algorithm: task.algorithm,
        seed,
        arithmetic: arithmetic === 'float' ? ('float' as const) : ('exact' as const),
      },
    })),
  ),
);
/** A run that is not the table's own is printed, never recorded. */
const recorded = steps === null && lag === LAG && seeds.every((seed) => SEEDS.includes(seed));

if (flags.table) {
  writeReport(readRows());
} else if (flags.row) {
  const { task, key } = keys[0]!;
  const row = await trainRow(task, key);
  console.log(JSON.stringify(row));
  process.exit(0);
} else {
  await trainAll();
}

async function trainRow(task: LearningTask, key: RowKey): Promise<Row> {
  const row = await runRow(key, {
    steps: steps ?? task.steps,
    windowSteps: task.windowSteps,
    lag,
    episodes: EPISODES,
    points: POINTS,
    report: (line) => console.error(line),
  });
  return { ...row, command: commandOf(key) };
}

function commandOf({ task, algorithm, seed, arithmetic }: RowKey): string {
  return `npm run bench -- learn --task ${task} --algorithm ${algorithm} --seeds ${seed} --arithmetic ${arithmetic}`;
}

async function trainAll(): Promise<void> {
  const done = new Set(readRows().map(keyText));
  const waiting = keys.filter(({ key }) => !(flags.resume && done.has(keyText(key))));
  console.error(`${waiting.length} rows to train, ${keys.length - waiting.length} kept`);
  const rows: Row[] = [];
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const row = await childRow(next.key);
      rows.push(row);
      if (recorded) keepRow(row);
      console.error(
        `${keyText(row)}: ${row.meanReturn.toFixed(2)} after ${row.steps} steps, ${row.minutes.toFixed(1)} min`,
      );
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  if (recorded) writeReport(readRows());
  if (flags.json) console.log(JSON.stringify(rows));
  else
    console.table(
      rows.map((row) => ({
        row: keyText(row),
        'mean return': Number(row.meanReturn.toFixed(2)),
        steps: row.steps,
        'mismatch KL': row.mismatchKl,
        minutes: Number(row.minutes.toFixed(1)),
      })),
    );
}

/** A row in a process of its own: memory and failures stay there. */
function childRow(key: RowKey): Promise<Row> {
  const args = ['--row', '--task', key.task, '--algorithm', key.algorithm, '--seeds', String(key.seed)];
  args.push('--arithmetic', key.arithmetic, '--lag', String(lag));
  if (steps !== null) args.push('--steps', String(steps));
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(rowSchema.parse(JSON.parse(output.trim().split('\n').at(-1)!)));
      else reject(new Error(`${keyText(key)} ended with exit code ${code}`));
    });
  });
}
