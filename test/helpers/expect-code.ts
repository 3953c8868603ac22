import { expect } from 'vitest';
import type { Code } from '../../src/protocol/codes.ts';
import { GrailError } from '../../src/protocol/errors.ts';

/** Expects a call or promise to fail with this code, and gives the error. */
export async function expectCode(
  code: Code,
  action: Promise<unknown> | (() => unknown),
): Promise<GrailError> {
  let failure: unknown;
  try {
    await (typeof action === 'function' ? action() : action);
  } catch (error) {
    failure = error;
  }
  expect(failure, `expected ${code}`).toBeInstanceOf(GrailError);
  const error = failure as GrailError;
  expect(error.code, error.message).toBe(code);
  return error;
}
