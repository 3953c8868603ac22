import { expect, test } from 'vitest';
import { OWN_RIVALS } from '../../bench/pulse/rivals/index.ts';
import { CASES, size, testRivals } from '../helpers/rival-cases.ts';

testRivals(OWN_RIVALS);

test('the cases change what their names say', () => {
  const changes = CASES.map(({ tensors, base, change }) => {
    let count = 0;
    for (let at = 0; at < size(tensors); at++)
      if (((change(at, base(at)) ^ base(at)) & 0xffff) !== 0) count++;
    return count;
  });
  expect(changes).toEqual([0, 6144, 6144, expect.any(Number), 156, 2048, 5, 2002, 4, 25]);
});
