import fc from 'fast-check';
import { expect, test } from 'vitest';
import { actionBits, packActions, packedBytes, unpackActions } from '../../src/protocol/actions.ts';

const options = { numRuns: process.env.GRAIL_LONG ? 100_000 : 1000, seed: 5 };

const packings = fc.integer({ min: 2, max: 4096 }).chain((actions) =>
  fc.record({
    actions: fc.constant(actions),
    values: fc.array(fc.integer({ min: 0, max: actions - 1 }), { maxLength: 80 }),
  }),
);

const shape = expect.objectContaining({ code: 'COMMIT_SHAPE' });

test('unpacking gives back what was packed, in ⌈log₂ A⌉ bits an action', () => {
  fc.assert(
    fc.property(packings, ({ actions, values }) => {
      const packed = packActions(Uint16Array.from(values), actions);
      expect(packed.length).toBe(Math.ceil((values.length * Math.ceil(Math.log2(actions))) / 8));
      expect([...unpackActions(packed, values.length, actions)]).toEqual(values);
    }),
    options,
  );
});

test('the packed bytes are the little-endian number Σ aᵢ·2^(i·bits)', () => {
  fc.assert(
    fc.property(packings, ({ actions, values }) => {
      const bits = BigInt(actionBits(actions));
      const number = values.reduce((sum, value, i) => sum + (BigInt(value) << (BigInt(i) * bits)), 0n);
      const packed = packActions(Uint16Array.from(values), actions);
      expect(packed.reduceRight((sum, byte) => (sum << 8n) + BigInt(byte), 0n)).toBe(number);
    }),
    options,
  );
});

test('a byte more or less, a set padding bit and an action out of range are COMMIT_SHAPE', () => {
  fc.assert(
    fc.property(packings, ({ actions, values }) => {
      const count = values.length;
      const packed = packActions(Uint16Array.from(values), actions);
      const longer = new Uint8Array(packed.length + 1);
      longer.set(packed);
      expect(() => unpackActions(longer, count, actions)).toThrow(shape);
      if (count > 0) expect(() => unpackActions(packed.slice(1), count, actions)).toThrow(shape);
      const bits = count * actionBits(actions);
      if (bits % 8 !== 0) {
        const padded = packed.slice();
        padded[packed.length - 1]! |= 0x80;
        expect(() => unpackActions(padded, count, actions)).toThrow(shape);
      }
      if (count > 0 && actions < 1 << actionBits(actions)) {
        const beyond = new Uint8Array(packedBytes(count, actions)).fill(255);
        expect(() => unpackActions(beyond, count, actions)).toThrow(shape);
      }
    }),
    options,
  );
});
