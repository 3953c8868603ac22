/** q: the order of BN254's base field; coordinates of points are below it. */
export const BASE_FIELD = 21888242871839275222246405745257275088696311157297823662689037894645226208583n;

/** r: the order of BN254's groups, hence of the field of public signals and scalars. */
export const FIELD_ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617n;

/** An integer of either sign as a field element. */
export function signedToField(value: bigint): bigint {
  return reduce(value, FIELD_ORDER);
}

/** The representative in [0, modulus). */
function reduce(value: bigint, modulus: bigint): bigint {
  const rest = value % modulus;
  return rest < 0n ? rest + modulus : rest;
}

/** value⁻¹ by the extended Euclidean algorithm; they have no common divisor. */
export function inverse(value: bigint, modulus: bigint = FIELD_ORDER): bigint {
  let [a, b, x, y] = [reduce(value, modulus), modulus, 1n, 0n];
  while (a > 1n) {
    const quotient = b / a;
    [a, b] = [b - quotient * a, a];
    [x, y] = [y - quotient * x, x];
  }
  return reduce(x, modulus);
}

/** base^exponent mod r, exponent ≥ 0. */
export function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let rest = exponent, square = base; rest > 0n; rest >>= 1n, square = (square * square) % FIELD_ORDER) {
    if (rest & 1n) result = (result * square) % FIELD_ORDER;
  }
  return result;
}

/** Inverses of many non-zero values with one inversion (Montgomery's trick). */
export function inverses(values: readonly bigint[]): bigint[] {
  const products: bigint[] = [];
  let product = 1n;
  for (const value of values) {
    products.push(product);
    product = (product * value) % FIELD_ORDER;
  }
  let rest = inverse(product);
  const out = new Array<bigint>(values.length);
  for (let i = values.length - 1; i >= 0; i--) {
    out[i] = (rest * products[i]!) % FIELD_ORDER;
    rest = (rest * values[i]!) % FIELD_ORDER;
  }
  return out;
}

/** Reads 32 bytes, little-endian. */
export function readField(view: DataView, at: number): bigint {
  return (
    view.getBigUint64(at, true) |
    (view.getBigUint64(at + 8, true) << 64n) |
    (view.getBigUint64(at + 16, true) << 128n) |
    (view.getBigUint64(at + 24, true) << 192n)
  );
}

/** Writes the lowest 256 bits of a number as 32 bytes, little-endian. */
export function writeField(view: DataView, at: number, value: bigint): void {
  for (let word = 0; word < 4; word++) {
    view.setBigUint64(at + 8 * word, BigInt.asUintN(64, value >> BigInt(64 * word)), true);
  }
}
