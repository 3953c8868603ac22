import { describe, expect, test } from 'vitest';
import { count } from '../runner/vitest.ts';

const file = (status: string, ...tests: string[]) => ({
  status,
  assertionResults: tests.map((value) => ({ status: value })),
});

describe('the test runner counts', () => {
  test('passed, failed and skipped tests', () => {
    const testResults = [
      file('failed', 'passed', 'failed', 'failed'),
      file('passed', 'passed', 'pending', 'todo'),
    ];
    expect(count({ success: false, testResults }, 1)).toEqual({ passed: 2, failed: 2, skipped: 2 });
  });

  test('a file that could not be loaded as one failure', () => {
    const report = { success: false, testResults: [file('failed'), file('passed', 'passed')] };
    expect(count(report, 1)).toEqual({ passed: 1, failed: 1, skipped: 0 });
  });

  test('a run that failed although all its tests passed as one failure', () => {
    const testResults = [file('passed', 'passed')];
    expect(count({ success: true, testResults }, 1)).toEqual({ passed: 1, failed: 1, skipped: 0 });
    expect(count({ success: false, testResults }, 0)).toEqual({ passed: 1, failed: 1, skipped: 0 });
    expect(count({ success: true, testResults }, 0)).toEqual({ passed: 1, failed: 0, skipped: 0 });
  });
});
