/** q: the order of BN254's base field; coordinates of points are below it. */
export const BASE_FIELD = 21888242871839275222246405745257275088696311157297823662689037894645226208583n;

/** r: the order of BN254's groups, hence of the field of public signals and scalars. */
export const FIELD_ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617n;

/** An integer of either sign as a field element. */
export function signedToField(value: bigint): bigint {
  const rest = value % FIELD_ORDER;
  return rest < 0n ? rest + FIELD_ORDER : rest;
}

/** Modular inverse by the extended Euclidean algorithm; `value` in [1, r). */
export function inverse(value: bigint): bigint {
  let [a, b, x, y] = [value, FIELD_ORDER, 1n, 0n];
  while (a > 1n) {
    const quotient = b / a;
    [a, b] = [b - quotient * a, a];
    [x, y] = [y - quotient * x, x];
  }
  return signedToField(x);
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
