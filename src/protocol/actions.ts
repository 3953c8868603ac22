import { GrailError } from './errors.ts';

/** Bits an action takes: ⌈log₂ actions⌉, at least one. */
export function actionBits(actions: number): number {
  return Math.max(1, 32 - Math.clz32(actions - 1));
}

/** Bytes of `count` packed actions. */
export function packedBytes(count: number, actions: number): number {
  return Math.ceil((count * actionBits(actions)) / 8);
}

/** Packs actions at ⌈log₂ A⌉ bits each, least significant bit first, zero padding at the end. */
export function packActions(values: Uint8Array | Uint16Array, actions: number): Uint8Array {
  const bits = actionBits(actions);
  const out = new Uint8Array(packedBytes(values.length, actions));
  let at = 0;
  let held = 0;
  let heldBits = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value >= actions) throw new RangeError(`action ${value} is not below ${actions}`);
    held |= value << heldBits;
    for (heldBits += bits; heldBits >= 8; heldBits -= 8) {
      out[at++] = held;
      held >>>= 8;
    }
  }
  if (heldBits > 0) out[at] = held;
  return out;
}

/**
 * Unpacks `count` actions.
 * @throws GrailError COMMIT_SHAPE when the length is off, an action is not below `actions`, or a padding bit is set.
 */
export function unpackActions(packed: Uint8Array, count: number, actions: number): Uint16Array {
  const bits = actionBits(actions);
  const expected = packedBytes(count, actions);
  if (packed.length !== expected) {
    throw new GrailError('COMMIT_SHAPE', 'the packed actions have the wrong length', {
      expected: `${expected} bytes`,
      got: `${packed.length} bytes`,
    });
  }
  const out = new Uint16Array(count);
  let at = 0;
  for (let i = 0; i < count; i++) {
    let value = 0;
    for (let bit = 0; bit < bits; bit++, at++) value |= ((packed[at >>> 3]! >>> (at & 7)) & 1) << bit;
    if (value >= actions) {
      throw new GrailError('COMMIT_SHAPE', 'an action is outside the action space', {
        expected: `below ${actions}`,
        got: value,
      });
    }
    out[i] = value;
  }
  for (; at < packed.length * 8; at++) {
    if ((packed[at >>> 3]! >>> (at & 7)) & 1) {
      throw new GrailError('COMMIT_SHAPE', 'a padding bit of the packed actions is set', {
        expected: 'zero padding',
        got: `bit ${at}`,
      });
    }
  }
  return out;
}
