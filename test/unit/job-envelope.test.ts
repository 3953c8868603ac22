import { beforeEach, describe, expect, test } from 'vitest';
import { equalBytes, toHex } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { MemoryBlobStore } from '../../src/storage/memory-blobs.ts';
import { JOB_KINDS, MAX_BUS_BYTES } from '../../verifier/bus/bus.ts';
import { epochOf, type JobPlace, jobId, seal, unseal } from '../../verifier/jobs/envelope.ts';

let work: MemoryBlobStore;
let place: JobPlace;

beforeEach(() => {
  work = new MemoryBlobStore();
  place = { epoch: 7, work };
});

const filled = (length: number) => new Uint8Array(length).fill(5);

describe('an envelope', () => {
  test.each([0, 1, MAX_BUS_BYTES - 9])('holds %i bytes itself', async (length) => {
    const { envelope, blob } = await seal(filled(length), place);
    expect(blob).toBeNull();
    expect(envelope.length).toBe(length + 9);
    expect(equalBytes(await unseal(envelope, work), filled(length))).toBe(true);
  });

  test('names a blob for what a message of the bus would not take', async () => {
    const bytes = filled(MAX_BUS_BYTES - 8);
    const { envelope, blob } = await seal(bytes, place);
    expect(blob).toBe(toHex(sha256(bytes)));
    expect(envelope.length).toBe(41);
    expect(epochOf(envelope)).toBe(7);
    expect(equalBytes(await unseal(envelope, work), bytes)).toBe(true);
  });

  test('of a blob that is gone says so', async () => {
    const { envelope, blob } = await seal(filled(MAX_BUS_BYTES), place);
    await work.delete(blob!);
    await expect(unseal(envelope, work)).rejects.toMatchObject({ code: 'BLOB_MISSING' });
  });

  test.each([
    ['nothing at all', new Uint8Array()],
    ['half an epoch', Uint8Array.of(0, 0, 0)],
    ['an epoch that is no number', new Uint8Array(9).fill(255)],
    ['an unknown kind', Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 7, 1)],
    ['half a hash', Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 7, 1, 2)],
    ['more than a hash', Uint8Array.of(1, ...new Uint8Array(41))],
  ])('with %s is refused', async (_, envelope) => {
    await expect(unseal(envelope, work)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  });
});

test('the id of a job changes with its kind, its network and its payload, and with nothing else', () => {
  const [a, b] = [filled(32), filled(32).fill(6)];
  const ids = [
    ...JOB_KINDS.map((kind) => jobId(kind, a, filled(3))),
    jobId('replay', b, filled(3)),
    jobId('replay', a, filled(4)),
  ];
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{64}$/);
  expect(jobId('replay', a, filled(3))).toBe(ids[0]);
});
