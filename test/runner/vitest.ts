import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { packageRoot } from '../../src/storage/package-root.ts';

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The part of vitest's JSON report that is read. */
interface Report {
  readonly success: boolean;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

const NOTHING: Counts = { passed: 0, failed: 0, skipped: 0 };

export function add(a: Counts, b: Counts): Counts {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

/**
 * Counts a report. A file that failed without a failed test (it could not be loaded) and a run that failed although
 * every test passed (an unhandled error) are failures too.
 */
export function count(report: Report, exitCode: number): Counts {
  let total = NOTHING;
  for (const { status, assertionResults } of report.testResults) {
    const of = (wanted: (status: string) => boolean) =>
      assertionResults.filter((test) => wanted(test.status)).length;
    const passed = of((value) => value === 'passed');
    const failed = of((value) => value === 'failed');
    const broken = status === 'failed' && failed === 0 ? 1 : 0;
    total = add(total, {
      passed,
      failed: failed + broken,
      skipped: assertionResults.length - passed - failed,
    });
  }
  const unexplained = total.failed === 0 && (exitCode !== 0 || !report.success);
  return unexplained ? { ...total, failed: 1 } : total;
}

/** Runs a program with its output on this terminal; gives its exit code, 1 when a signal ended it. */
export function runProgram(args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: packageRoot(), stdio: 'inherit', env });
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

/** The script of a package's executable. */
export function executable(name: string, bin = name): string {
  const folder = join(packageRoot(), 'node_modules', name);
  const { bin: entry } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return join(folder, typeof entry === 'string' ? entry : entry[bin]);
}

/** Runs vitest over files or folders and counts. */
export async function runVitest(
  paths: readonly string[],
  options: { readonly workers: number; readonly env?: NodeJS.ProcessEnv },
): Promise<Counts> {
  const file = join(packageRoot(), '.cache', 'test', `report-${process.pid}.json`);
  mkdirSync(dirname(file), { recursive: true });
  rmSync(file, { force: true });
  const exitCode = await runProgram(
    [
      executable('vitest'),
      'run',
      ...paths,
      '--passWithNoTests',
      `--maxWorkers=${options.workers}`,
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${file}`,
    ],
    options.env ?? process.env,
  );
  try {
    return count(JSON.parse(readFileSync(file, 'utf8')), exitCode);
  } catch {
    return { ...NOTHING, failed: 1 };
  } finally {
    rmSync(file, { force: true });
  }
}
