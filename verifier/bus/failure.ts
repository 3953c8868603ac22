import { CODES, type Code } from '../../src/protocol/codes.ts';
import { type Details, GrailError } from '../../src/protocol/errors.ts';
import { errorSchema } from '../../src/protocol/wire.ts';
import type { DeadLetter } from './bus.ts';

/** Characters of a message and of details, as JSON, that travel: they go in a header. */
const MESSAGE_CHARACTERS = 2_048;
const DETAILS_CHARACTERS = 4_096;

/** Code, message and details of an error; of a library's error the message, as INTERNAL. */
export function failureOf(error: unknown): { code: Code; message: string; details: Details } {
  const { code, message, details } =
    error instanceof GrailError
      ? error
      : new GrailError('INTERNAL', error instanceof Error ? error.message : String(error));
  return {
    code,
    message: message.slice(0, MESSAGE_CHARACTERS),
    details: JSON.stringify(details).length <= DETAILS_CHARACTERS ? details : {},
  };
}

/** The error that came as JSON: INTERNAL when its code is not known here, or it is no error at all. */
export function failureFrom(text: string): GrailError {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  const parsed = errorSchema.safeParse(value);
  if (!parsed.success) return new GrailError('INTERNAL', 'an answer on the bus carries a malformed error');
  const { code, message, details } = parsed.data;
  if (Object.hasOwn(CODES, code)) return new GrailError(code as Code, message, details);
  return new GrailError('INTERNAL', `${code}: ${message}`, details);
}

/** What `run` throws of a job that lies among the dead letters. */
export function jobFailed({ kind, id, attempts, error }: Omit<DeadLetter, 'payload'>): GrailError {
  return new GrailError(
    'JOB_FAILED',
    `a ${kind} job failed ${attempts} times, at last with ${error.code}: ${error.message}`,
    { kind, id, attempts, code: error.code },
  );
}

/** Why a job is dead whose workers said nothing. */
export const unheard = () =>
  new GrailError('UNREACHABLE', 'every worker that had the job was stopped, died or lost its lease');
