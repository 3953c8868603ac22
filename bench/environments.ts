/**
 * Environment steps a second on one core: random actions, resets included, without and with observations, beside the
 * Python originals when a Python has them. Prints a table, or with --json an object.
 *
 *     npm run bench -- environments
 *     npm run bench -- environments --only CartPole-v1 --python /path/to/venv/bin/python --json
 *
 * Gymnasium makes an observation at each step and MinAtar does when asked, hence its two figures; `vectorised` is
 * Gymnasium's NumPy CartPole at the same batch.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Environment, environmentById, environmentIds } from '../src/environments/index.ts';
import { philox4x32 } from '../src/policy/philox.ts';

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string' },
    python: { type: 'string', default: 'python3' },
    runs: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '0.3' },
    json: { type: 'boolean', default: false },
  },
});
const runs = Number(flags.runs);
const seconds = Number(flags.seconds);

const BATCHES = [64, 1024];
/** Steps of recorded random actions, repeated over and over. */
const PATTERN = 256;
/** Steps between two looks at the clock. */
const CHUNK = 16;

interface Measured {
  readonly environment: string;
  readonly batch: number;
  readonly stepsPerSecond: number;
  readonly withObservations: number;
}

/** What bench/environments.py prints. */
interface Originals {
  readonly versions: Readonly<Record<string, string>>;
  readonly rates: Readonly<Record<string, OriginalRates>>;
}

interface OriginalRates {
  readonly step: number;
  readonly observed: number;
  readonly vectorised?: Readonly<Record<string, number>>;
}

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!;

/** `[PATTERN, batch]` actions. */
function randomActions(environment: Environment, batch: number): Uint16Array[] {
  const block = new Uint32Array(4);
  return Array.from({ length: PATTERN }, (_, step) =>
    Uint16Array.from({ length: batch }, (_, index) => {
      philox4x32(step, index, 0, 0, 1, 2, block);
      return block[0]! % environment.actions;
    }),
  );
}

/** Runs for `seconds` at a time and gives steps a second of each time. */
function stepper(environment: Environment, size: number, observe: boolean): (seconds: number) => number {
  const batch = environment.create(size);
  const actions = randomActions(environment, size);
  const observations = new Int8Array(size * environment.observation);
  const rewards = new Float32Array(size);
  const terminated = new Uint8Array(size);
  const truncated = new Uint8Array(size);
  const seed = new Uint8Array(16);
  const words = new DataView(seed.buffer);
  let episodes = 0;
  const begin = (index: number) => {
    words.setUint32(0, episodes++);
    batch.reset(index, seed);
  };
  for (let index = 0; index < size; index++) {
    words.setUint32(4, index);
    batch.seed(index, seed);
    begin(index);
  }
  let step = 0;
  return (duration) => {
    const first = step;
    const start = performance.now();
    let elapsed = 0;
    while (elapsed < duration * 1000) {
      for (let i = 0; i < CHUNK; i++, step++) {
        batch.step(actions[step % PATTERN]!, step, rewards, terminated, truncated);
        for (let index = 0; index < size; index++) {
          if (terminated[index] === 1 || truncated[index] === 1) begin(index);
        }
        if (observe) batch.observe(observations);
      }
      elapsed = performance.now() - start;
    }
    return ((step - first) * size * 1000) / elapsed;
  };
}

function stepsPerSecond(environment: Environment, batch: number, observe: boolean): number {
  const run = stepper(environment, batch, observe);
  run(seconds);
  return median(Array.from({ length: runs }, () => run(seconds)));
}

/** @returns null when there is no such Python, or none of the packages in it */
function measureOriginals(): Originals | null {
  const script = fileURLToPath(new URL('environments.py', import.meta.url));
  try {
    const output = execFileSync(
      flags.python,
      [script, '--runs', flags.runs, '--seconds', flags.seconds],
      // Gymnasium writes advice to stderr.
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );
    const originals: Originals = JSON.parse(output);
    return Object.keys(originals.versions).length === 0 ? null : originals;
  } catch {
    return null;
  }
}

/** MinAtar's games are named as in the package. */
const originalOf = (originals: Originals | null, id: string) =>
  originals?.rates[id] ?? originals?.rates[id.replace(/^MinAtar\/(\w+)-v\d+$/, '$1')];

const ids = flags.only === undefined ? environmentIds : flags.only.split(',');
const measured: Measured[] = [];
for (const id of ids) {
  const environment = environmentById(id);
  for (const batch of BATCHES) {
    measured.push({
      environment: id,
      batch,
      stepsPerSecond: stepsPerSecond(environment, batch, false),
      withObservations: stepsPerSecond(environment, batch, true),
    });
  }
}
const originals = measureOriginals();

if (flags.json) {
  console.log(JSON.stringify({ measured, python: originals }));
} else {
  const rate = (value: number | undefined) =>
    value === undefined ? '' : Math.round(value).toLocaleString('en');
  console.table(
    measured.map(({ environment, batch, stepsPerSecond, withObservations }) => {
      const original = originalOf(originals, environment);
      return {
        environment,
        batch,
        'steps/s': rate(stepsPerSecond),
        'with observations': rate(withObservations),
        'Python steps/s': rate(original?.step),
        'Python with observations': rate(original?.observed),
        'Python vectorised': rate(original?.vectorised?.[batch]),
      };
    }),
  );
  const found = Object.entries(originals?.versions ?? {}).map(([name, version]) => `${name} ${version}`);
  console.log(
    `Python originals: ${found.length === 0 ? `not found by ${flags.python} (pip install gymnasium minatar, or name another with --python)` : found.join(', ')}`,
  );
}
