import { GrailError } from '../../src/protocol/errors.ts';
import { type Job, type JobSettings, MAX_BUS_BYTES } from './bus.ts';

/** Payloads of one kind of jobs that are queued, in bytes: `run` waits for room beyond it. */
export const MAX_QUEUED_BYTES = 134_217_728;

/** Dead letters that are kept, of all kinds: for people, who read the newest. */
export const MAX_DEAD_LETTERS = 1_024;
export const MAX_DEAD_BYTES = 33_554_432;

/** Longest wait before a retry. */
const LONGEST_RETRY_MS = 30_000;

/** Milliseconds until a job is delivered again after its attempt of that number, from 1, failed. */
export function retryDelayMs({ retryMs }: JobSettings, attempt: number): number {
  return Math.min(LONGEST_RETRY_MS, retryMs * 2 ** (attempt - 1));
}

/** @throws RangeError unless it is words of lower-case letters, digits and dashes, joined by dots */
export function checkSubject(subject: string): void {
  if (!/^[a-z0-9-]{1,64}(\.[a-z0-9-]{1,64}){0,7}$/.test(subject)) {
    throw new RangeError(`${JSON.stringify(subject)} is not a subject of the bus`);
  }
}

/** @throws GrailError TOO_LARGE */
export function checkSize(bytes: Uint8Array): void {
  if (bytes.length <= MAX_BUS_BYTES) return;
  throw new GrailError(
    'TOO_LARGE',
    'the bus takes no message as large: put it into a blob store and send its hash',
    {
      bytes: bytes.length,
      limit: MAX_BUS_BYTES,
    },
  );
}

const JOB_ID = /^[0-9a-f]{64}$/;

export const isJobId = (id: string): boolean => JOB_ID.test(id);

/** @throws RangeError for an id that is not 64 hex digits; GrailError TOO_LARGE */
export function checkJob({ id, payload }: Job): void {
  if (!isJobId(id)) throw new RangeError('the id of a job is 64 lower-case hex digits');
  checkSize(payload);
}
