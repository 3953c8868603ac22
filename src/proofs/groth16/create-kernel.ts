import { BASE_FIELD, FIELD_ORDER, inverse } from '../fields.ts';
import { FIELD_BYTES, toMontgomery, writeConstants, writePair } from './field-constants.ts';
import { Kernel, MAXIMUM_PAGES, PAIR } from './kernel.ts';

/**
 * A kernel with a memory of its own, which other threads may join.
 * @throws an error of the runtime's where it lacks relaxed SIMD or shared memory; `isSupported` says so beforehand
 */
export async function createKernel(): Promise<Kernel> {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: MAXIMUM_PAGES, shared: true });
  const view = new DataView(memory.buffer);
  const q = 16;
  const r = q + FIELD_BYTES;
  const b3 = r + FIELD_BYTES;
  writeConstants(view, q, BASE_FIELD);
  writeConstants(view, r, FIELD_ORDER);
  // G2: y² = x³ + 3 / (9 + u); 1 / (9 + u) = (9 − u) / 82.
  const third = 9n * inverse(82n, BASE_FIELD);
  writePair(view, b3, toMontgomery(9n * third, BASE_FIELD));
  writePair(view, b3 + PAIR, toMontgomery(-third, BASE_FIELD));
  return Kernel.first(memory, { q, r, b3 }, b3 + 2 * PAIR);
}

let supported: Promise<boolean> | undefined;

/**
 * Whether this runtime has relaxed SIMD and the machine's multiply-add rounds once, without which the kernel's arithmetic would be
 * wrong: one product of digits whose lower half an earlier rounding loses is computed.
 */
export function isSupported(): Promise<boolean> {
  supported ??= (async () => {
    try {
      const kernel = await createKernel();
      const { q } = kernel.constants;
      const x = kernel.allocate(4 * PAIR);
      const two = toMontgomery(0x1234_5678_9abc_def0_1357_9bdf_0246_8ace_fedc_ba98_7654_3210n, BASE_FIELD);
      writePair(kernel.view, x, two);
      kernel.run.mul(q, x + PAIR, x, x);
      kernel.run.addReduced(q, x + PAIR, x + PAIR, x + 3 * PAIR);
      writePair(kernel.view, x + 2 * PAIR, (two * two * inverse(1n << 255n, BASE_FIELD)) % BASE_FIELD);
      kernel.run.addReduced(q, x + 2 * PAIR, x + 2 * PAIR, x + 3 * PAIR);
      const [got, want] = [kernel.bytes(x + PAIR, PAIR), kernel.bytes(x + 2 * PAIR, PAIR)];
      return got.every((byte, i) => byte === want[i]);
    } catch {
      return false;
    }
  })();
  return supported;
}
