/** An exact fraction in lowest terms, denominator above 0. */
export interface Rational {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

export function rational(numerator: bigint, denominator = 1n): Rational {
  if (denominator === 0n) throw new RangeError('division by zero');
  let [a, b] = [numerator < 0n ? -numerator : numerator, denominator < 0n ? -denominator : denominator];
  while (b !== 0n) [a, b] = [b, a % b];
  const divisor = denominator < 0n ? -a : a;
  return { numerator: numerator / divisor, denominator: denominator / divisor };
}

/** Below 0, 0 or above 0 as `a` is less than, equal to or more than `b`. */
export function compareRationals(a: Rational, b: Rational): number {
  const difference = a.numerator * b.denominator - b.numerator * a.denominator;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

function combine(operation: string, a: Rational, b: Rational): Rational {
  const denominator = a.denominator * b.denominator;
  const [left, right] = [a.numerator * b.denominator, b.numerator * a.denominator];
  if (operation === '+') return rational(left + right, denominator);
  if (operation === '−') return rational(left - right, denominator);
  if (operation === '×') return rational(a.numerator * b.numerator, denominator);
  return rational(left, right);
}

/** Evaluates an expression of whole numbers, + − × ÷ and parentheses; × and ÷ bind tighter, equals from the left. */
export function evaluateExpression(text: string): Rational {
  const tokens = text.match(/\d+|[+−×÷()]/g) ?? [];
  let at = 0;
  const primary = (): Rational => {
    const token = tokens[at++];
    if (token === undefined) throw new SyntaxError(`${text} ends early`);
    if (token !== '(') return rational(BigInt(token));
    const inner = sum();
    if (tokens[at++] !== ')') throw new SyntaxError(`${text} lacks a )`);
    return inner;
  };
  const series = (operations: string, operand: () => Rational): Rational => {
    let value = operand();
    while (at < tokens.length && operations.includes(tokens[at]!))
      value = combine(tokens[at++]!, value, operand());
    return value;
  };
  const product = () => series('×÷', primary);
  const sum = (): Rational => series('+−', product);
  const value = sum();
  if (at < tokens.length) throw new SyntaxError(`${text} does not end at ${tokens[at]}`);
  return value;
}
