import { parseArgs } from 'node:util';
import { installMissing } from '../../deploy/servers/programs.ts';
import { runLong } from './long.ts';
import { SUITES, type Suite } from './suites.ts';
import { add, type Counts, executable, runProgram, runVitest } from './vitest.ts';

/**
 * `npm test`: Biome, tsc, then every suite; the last line counts. `npm test -- --only SUITE` runs one suite without the
 * checks, `--strict` (implied by CI=true) fails when a suite cannot run, `--long` is `npm run test:long`.
 */
const USAGE = `npm test [-- [--strict] [--only ${SUITES.map(({ name }) => name).join('|')}]]
npm run test:long [-- --only PART-OF-A-PATH]`;

const log = (line: string) => void process.stderr.write(`${line}\n`);

function options(): { strict: boolean; only: string | undefined; long: boolean } {
  try {
    const { values } = parseArgs({
      options: { strict: { type: 'boolean' }, only: { type: 'string' }, long: { type: 'boolean' } },
    });
    const strict = values.strict ?? (process.env.CI !== undefined && process.env.CI !== 'false');
    return { strict, only: values.only, long: values.long ?? false };
  } catch (error) {
    log(`USAGE: ${(error as Error).message}\n${USAGE}`);
    process.exit(2);
  }
}

async function checks(): Promise<number> {
  log('--- biome');
  const biome = await runProgram([executable('@biomejs/biome', 'biome'), 'check', '.']);
  log('--- tsc');
  const tsc = await runProgram([executable('typescript', 'tsc'), '-p', '.']);
  for (const [name, code] of [
    ['biome', biome],
    ['tsc', tsc],
  ]) {
    if (code !== 0) log(`${name} failed`);
  }
  return Number(biome !== 0) + Number(tsc !== 0);
}

/** Neighbours with the same number of workers run in one vitest, which starts once. */
function groups(suites: readonly Suite[]): Suite[][] {
  const out: Suite[][] = [];
  for (const suite of suites) {
    const last = out.at(-1);
    if (last?.[0]?.workers === suite.workers && suite.needs.length === 0) last.push(suite);
    else out.push([suite]);
  }
  return out;
}

async function runSuites(suites: readonly Suite[], strict: boolean): Promise<Counts> {
  installMissing([...new Set(suites.flatMap(({ needs }) => needs))], log);
  const runnable = suites.filter(({ needs }) => needs.every((server) => server.find() !== null));
  let counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const group of groups(runnable)) {
    log(`--- ${group.map(({ name }) => name).join(', ')}`);
    const paths = group.map(({ name }) => `test/${name}/`);
    counts = add(counts, await runVitest(paths, { workers: group[0]!.workers }));
  }
  for (const suite of suites) {
    if (runnable.includes(suite)) continue;
    process.stdout.write(`not run: ${suite.name}\n`);
    if (strict) counts = { ...counts, failed: counts.failed + 1 };
  }
  return counts;
}

const { strict, only, long } = options();
let counts: Counts;
if (long) {
  counts = await runLong(only, log);
} else {
  const suites = SUITES.filter(({ name }) => only === undefined || name === only);
  if (suites.length === 0) {
    log(`USAGE: there is no suite ${only}\n${USAGE}`);
    process.exit(2);
  }
  const failedChecks = only === undefined ? await checks() : 0;
  counts = await runSuites(suites, strict);
  counts = { ...counts, failed: counts.failed + failedChecks };
}
if (counts.skipped > 0) process.stdout.write(`skipped: ${counts.skipped}\n`);
process.stdout.write(`${counts.passed} passed, ${counts.failed} failed\n`);
process.exitCode = counts.failed === 0 && counts.passed > 0 ? 0 : 1;
