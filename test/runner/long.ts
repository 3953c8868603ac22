import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { installMissing } from '../../deploy/servers/programs.ts';
import { packageRoot } from '../../src/storage/package-root.ts';
import { SUITES } from './suites.ts';
import { add, type Counts, runVitest } from './vitest.ts';

/** Result of one test file at its full counts. */
interface Result extends Counts {
  readonly seconds: number;
}

/** What has been run of these sources so far. */
interface State {
  readonly sources: string;
  readonly results: { readonly [file: string]: Result };
}

/** What decides a test's outcome; documents do not. */
const SOURCES = [
  'src',
  'rollouts',
  'verifier',
  'assembly',
  'bench',
  'circuits',
  'contracts',
  'test',
  'bin',
  'package-lock.json',
  'vitest.config.ts',
];

const git = (...args: string[]) =>
  execFileSync('git', args, { cwd: packageRoot(), encoding: 'utf8', maxBuffer: 2 ** 28 });

/** SHA-256 over the names and bytes of all sources in the working tree, committed or not. */
function sourcesHash(): string {
  const hash = createHash('sha256');
  const names = git('ls-files', '-z', '--cached', '--others', '--exclude-standard', '--', ...SOURCES);
  for (const name of [...new Set(names.split('\0'))].sort()) {
    const path = join(packageRoot(), name);
    if (name === '' || !existsSync(path)) continue;
    const bytes = readFileSync(path);
    hash.update(`${name}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest('hex');
}

/** Test files of all suites that can run here, relative to the root. */
function testFiles(): { file: string; suite: string }[] {
  return SUITES.flatMap(({ name, needs }) => {
    const folder = join(packageRoot(), 'test', name);
    if (!existsSync(folder) || needs.some((server) => server.find() === null)) return [];
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.test.ts'))
      .sort()
      .map((file) => ({ file: `test/${name}/${file}`, suite: name }));
  });
}

function readState(path: string, sources: string): State {
  try {
    const state: State = JSON.parse(readFileSync(path, 'utf8'));
    if (state.sources === sources) return state;
  } catch {
    // None yet, or cut short: begin again.
  }
  return { sources, results: {} };
}

function summary(state: State, files: readonly string[]): string {
  const changed = git('status', '--porcelain', '--', ...SOURCES).trim() !== '';
  const commit = `${git('rev-parse', '--short=12', 'HEAD').trim()}${changed ? ' with local changes' : ''}`;
  const rows = files.map((file) => {
    const result = state.results[file];
    if (result === undefined) return `| \`${file}\` | not run | | |`;
    return `| \`${file}\` | ${result.passed} | ${result.failed} | ${result.seconds} |`;
  });
  const total = Object.values(state.results).reduce<Result>(
    (sum, result) => ({ ...add(sum, result), seconds: sum.seconds + result.seconds }),
    { passed: 0, failed: 0, skipped: 0, seconds: 0 },
  );
  return `# Tests at their full counts

Written by \`npm run test:long\`: every test with the counts that \`npm test\` samples, file by file.

Commit ${commit}, sources \`${state.sources.slice(0, 16)}\`. ${total.passed} passed, ${total.failed} failed, in ${total.seconds} seconds.

| file | passed | failed | seconds |
|---|---|---|---|
${rows.join('\n')}
`;
}

/**
 * Runs the test files whose path contains \`only\` (all of them without it) at their full counts, one after the other. A
 * file that passed is not run again while the sources are the same, so that a run can be stopped and taken up.
 */
export async function runLong(only: string | undefined, log: (line: string) => void): Promise<Counts> {
  installMissing([...new Set(SUITES.flatMap(({ needs }) => needs))], log);
  const statePath = join(packageRoot(), '.cache', 'test-long.json');
  const summaryPath = join(packageRoot(), 'docs', 'TEST-LONG.md');
  let state = readState(statePath, sourcesHash());
  const files = testFiles().map(({ file }) => file);
  const wanted = files.filter((file) => only === undefined || file.includes(only));
  let counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  if (wanted.length === 0) {
    log(`no test file has '${only}' in its path`);
    return { ...counts, failed: 1 };
  }
  for (const [index, file] of wanted.entries()) {
    let result = state.results[file];
    if (result === undefined || result.failed > 0) {
      log(`[${index + 1}/${wanted.length}] ${file}`);
      const began = performance.now();
      const found = await runVitest([file], { workers: 1, env: { ...process.env, GRAIL_LONG: '1' } });
      result = { ...found, seconds: Math.round((performance.now() - began) / 1000) };
      state = { ...state, results: { ...state.results, [file]: result } };
      mkdirSync(dirname(statePath), { recursive: true });
      writeFileSync(statePath, JSON.stringify(state, null, 1));
    } else {
      log(`[${index + 1}/${wanted.length}] ${file}: passed before, ${result.passed} tests`);
    }
    counts = add(counts, result);
    writeFileSync(summaryPath, summary(state, files));
  }
  for (const { name, needs } of SUITES) {
    if (needs.some((server) => server.find() === null)) log(`not run: ${name}`);
  }
  log(`summary: docs/TEST-LONG.md`);
  return counts;
}
