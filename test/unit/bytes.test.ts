import { expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/protocol/bytes.ts';

const every = Uint8Array.from({ length: 256 }, (_, byte) => byte);

test('hex gives back every byte, in small letters and in capitals', () => {
  const hex = toHex(every);
  expect(hex).toBe(`0x${Buffer.from(every).toString('hex')}`);
  expect(fromHex(hex)).toEqual(every);
  expect(fromHex(`0x${hex.slice(2).toUpperCase()}`)).toEqual(every);
  expect(fromHex('0x')).toEqual(new Uint8Array());
});

test('what is not prefixed hex of whole bytes is refused', () => {
  const around = ['/', ':', '@', 'G', '`', 'g', 'é', '０'].map((character) => `0x0${character}`);
  for (const text of ['', '0', '00', '0x0', '0X00', '0x00 ', '0x00\n', ...around]) {
    expect(() => fromHex(text), JSON.stringify(text)).toThrow(RangeError);
  }
});
