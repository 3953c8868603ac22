import { u32 } from '../protocol/bytes.ts';
import { sha256, tag } from '../protocol/hash.ts';
import { SEED_BYTES } from '../protocol/seeds.ts';
import { wordStream } from './random.ts';

/**
 * A permutation of 0 … count − 1 for one epoch: Fisher and Yates's shuffle from the end, where the partner of place i
 * is ⌊word · (i + 1) / 2^32⌋ for the next word of the stream whose seed is the first 16 bytes of
 * SHA-256(tag("training/shuffle") ‖ seed ‖ u32 epoch).
 *
 * @param seed 32 bytes: the window's shuffle seed
 */
export function permutation(seed: Uint8Array, epoch: number, count: number): Uint32Array {
  const next = wordStream(sha256(tag('training/shuffle'), seed, u32(epoch)).slice(0, SEED_BYTES));
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor((next() * (i + 1)) / 4_294_967_296);
    const held = order[i]!;
    order[i] = order[j]!;
    order[j] = held;
  }
  return order;
}

/**
 * The minibatches of an update, epoch by epoch: of each epoch's permutation of 0 … count − 1, n = ⌈count / size⌉ parts,
 * part p being places ⌊p · count / n⌋ to ⌊(p + 1) · count / n⌋ − 1. They differ by one element at most.
 */
export function* minibatches(
  seed: Uint8Array,
  epochs: number,
  count: number,
  size: number,
): Generator<Uint32Array> {
  const parts = Math.ceil(count / size);
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = permutation(seed, epoch, count);
    for (let part = 0; part < parts; part++) {
      yield order.subarray(Math.floor((part * count) / parts), Math.floor(((part + 1) * count) / parts));
    }
  }
}
