import { FIELD_ORDER, inverse, signedToField } from '../../src/proofs/fields.ts';

/**
 * LLL reduction in exact integers (δ = 3/4), after Cohen, A Course in Computational Algebraic Number Theory, 2.6.7:
 * the attacker's tool in tests of what a rho known too early would allow. Reduces `basis`, rows of integers, in place.
 */
export function lll(basis: bigint[][]): void {
  const n = basis.length;
  // d[i + 1] is the product of the first i + 1 squared Gram–Schmidt norms; lambda[i][j] = d[j + 1]·μ[i][j].
  const d = new Array<bigint>(n + 1).fill(1n);
  const lambda = basis.map(() => new Array<bigint>(n).fill(0n));
  for (let k = 0; k < n; k++) {
    for (let j = 0; j <= k; j++) {
      let u = dot(basis[k]!, basis[j]!);
      for (let i = 0; i < j; i++) u = (d[i + 1]! * u - lambda[k]![i]! * lambda[j]![i]!) / d[i]!;
      if (j < k) lambda[k]![j] = u;
      else d[k + 1] = u;
    }
  }
  const reduce = (k: number, l: number): void => {
    const q = roundedQuotient(lambda[k]![l]!, d[l + 1]!);
    if (q === 0n) return;
    basis[k] = basis[k]!.map((value, i) => value - q * basis[l]![i]!);
    lambda[k]![l]! -= q * d[l + 1]!;
    for (let i = 0; i < l; i++) lambda[k]![i]! -= q * lambda[l]![i]!;
  };
  let k = 1;
  while (k < n) {
    reduce(k, k - 1);
    const low = lambda[k]![k - 1]!;
    if (4n * (d[k + 1]! * d[k - 1]! + low * low) >= 3n * d[k]! * d[k]!) {
      for (let l = k - 2; l >= 0; l--) reduce(k, l);
      k += 1;
      continue;
    }
    [basis[k], basis[k - 1]] = [basis[k - 1]!, basis[k]!];
    for (let j = 0; j < k - 1; j++) {
      [lambda[k]![j], lambda[k - 1]![j]] = [lambda[k - 1]![j]!, lambda[k]![j]!];
    }
    const next = (d[k - 1]! * d[k + 1]! + low * low) / d[k]!;
    for (let i = k + 1; i < n; i++) {
      const t = lambda[i]![k]!;
      lambda[i]![k] = (d[k + 1]! * lambda[i]![k - 1]! - low * t) / d[k]!;
      lambda[i]![k - 1] = (next * t + low * lambda[i]![k]!) / d[k + 1]!;
    }
    d[k] = next;
    k = Math.max(1, k - 1);
  }
}

function dot(a: readonly bigint[], b: readonly bigint[]): bigint {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0n);
}

/** The integer nearest to a / b, for b > 0. */
function roundedQuotient(a: bigint, b: bigint): bigint {
  const twice = 2n * a + b;
  const quotient = twice / (2n * b);
  return twice < 0n && twice % (2n * b) !== 0n ? quotient - 1n : quotient;
}

/** Short, independent vectors e of integers with Σ weights[i]·e[i] ≡ 0 mod r, about the shortest first. */
export function shortRelations(weights: readonly bigint[]): bigint[][] {
  const back = inverse(signedToField(weights[0]!));
  const basis = weights.map((weight, i) =>
    weights.map((_, j) => {
      if (j === 0) return i === 0 ? FIELD_ORDER : -signedToField(weight * back);
      return i === j ? 1n : 0n;
    }),
  );
  lll(basis);
  return basis;
}
