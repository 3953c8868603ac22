import { describe, expect, test } from 'vitest';
import { GrailError } from '../../src/protocol/errors.ts';
import { untilStored } from '../../src/storage/retry.ts';

const away = (details = {}) => new GrailError('STORAGE_UNAVAILABLE', 'away', details);

/** An action that fails with these errors, then works. */
function failing(...errors: Error[]): () => Promise<string> {
  return async () => {
    const error = errors.shift();
    if (error !== undefined) throw error;
    return 'stored';
  };
}

describe('untilStored', () => {
  test('tries again while the storage takes nothing, and tells when it does again', async () => {
    const told: (string | null)[] = [];
    const onTrouble = (trouble: GrailError | null) => told.push(trouble?.code ?? null);
    const options = { signal: new AbortController().signal, onTrouble };
    expect(await untilStored(failing(away(), away()), options)).toBe('stored');
    expect(told).toEqual(['STORAGE_UNAVAILABLE', 'STORAGE_UNAVAILABLE', null]);
  });

  test('says nothing when it works at once', async () => {
    const told: unknown[] = [];
    const options = {
      signal: new AbortController().signal,
      onTrouble: (trouble: unknown) => told.push(trouble),
    };
    expect(await untilStored(failing(), options)).toBe('stored');
    expect(told).toEqual([]);
  });

  test.each([
    ['any other failure', new GrailError('LEDGER_CORRUPT', 'damaged'), 'LEDGER_CORRUPT'],
    ['what waiting cannot heal', away({ lasting: true }), 'STORAGE_UNAVAILABLE'],
  ])('gives up at %s', async (_what, error, code) => {
    const options = { signal: new AbortController().signal, onTrouble: () => {} };
    await expect(untilStored(failing(error), options)).rejects.toMatchObject({ code });
  });

  test('is STOPPED when it is told to stop while it waits', async () => {
    const abort = new AbortController();
    const options = { signal: abort.signal, onTrouble: () => abort.abort() };
    await expect(untilStored(failing(away(), away()), options)).rejects.toMatchObject({ code: 'STOPPED' });
  });
});
