import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkReceipt } from '../../rollouts/receipt.ts';
import { receiptSchema } from '../../src/protocol/wire.ts';
import { KEYS, TestNetwork } from '../helpers/network.ts';

let network: TestNetwork;

beforeAll(async () => {
  network = new TestNetwork();
  await network.run(0);
});
afterAll(() => network.remove());

describe('a receipt', () => {
  const named = () => ({ genesis: network.genesis, domain: network.state.domain });

  test('of the network is taken', async () => {
    checkReceipt(named(), await network.receipt(0, KEYS.miner.address));
  });

  test('whose result is of any other shape is refused with a code', async () => {
    const receipt = await network.receipt(0, KEYS.miner.address);
    for (const slots of [3, '2', null, [], { toString: null, valueOf: null }, '\ud800']) {
      const altered = receiptSchema.parse({ ...receipt, result: { ...receipt.result, slots } });
      expect(() => checkReceipt(named(), altered)).toThrowError(
        expect.objectContaining({ code: expect.stringMatching(/^BAD_(SIGNATURE|REQUEST)$/) }),
      );
    }
  });
});
