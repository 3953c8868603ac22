import { describe, expect, test } from 'vitest';
import { anchorPays, nextDebt } from '../../src/pulse/index.ts';
import { anchorDebt } from '../../src/replica/anchor-debt.ts';

const hash = `0x${'00'.repeat(32)}` as const;

function version(number: number, patchBytes: number, anchorBytes: number | null) {
  return {
    version: number,
    policyRoot: hash,
    trainerStateRoot: hash,
    patch: number === 0 ? null : { hash, bytes: patchBytes },
    anchor: anchorBytes === null ? null : { hash, bytes: anchorBytes },
  };
}

describe('an anchor', () => {
  test('comes when the patches since the last one, its own included, have its bytes', () => {
    const debt = { anchorBytes: 1000, patchBytes: 700, versions: 3 };
    expect(anchorPays(debt, 299, 100)).toBe(false);
    expect(anchorPays(debt, 300, 100)).toBe(true);
  });

  test('comes at the latest after anchorEvery versions', () => {
    const debt = { anchorBytes: 1000, patchBytes: 3, versions: 3 };
    expect(anchorPays(debt, 1, 5)).toBe(false);
    expect(anchorPays(debt, 1, 4)).toBe(true);
  });

  test('of genesis is the whole policy: the first one may come as soon as that is spent', () => {
    expect(anchorPays(anchorDebt([version(0, 0, 1480)]), 1480, 100)).toBe(true);
  });
});

test('what the published versions say is what a judge that went on has counted', () => {
  const sizes = [400, 500, 600, 100, 900, 50];
  const versions = [version(0, 0, 1480)];
  let debt = anchorDebt(versions);
  for (const [i, patchBytes] of sizes.entries()) {
    const anchorBytes = anchorPays(debt, patchBytes, 4) ? 1000 + i : null;
    versions.push(version(i + 1, patchBytes, anchorBytes));
    debt = nextDebt(debt, patchBytes, anchorBytes);
    expect(anchorDebt(versions)).toEqual(debt);
  }
  expect(versions.map(({ anchor }) => anchor?.bytes ?? 0)).toEqual([1480, 0, 0, 1002, 0, 0, 1005]);
});
