import type { Json } from './canonical.ts';
import { CODES, type Code, type Fault } from './codes.ts';

export type Details = { readonly [key: string]: Json };

/**
 * The one error of this project: a code that programs read, a sentence that tells a person what to do next, and
 * details. It travels unchanged from the check to the terminal, the API and the ledger.
 */
export class GrailError extends Error {
  readonly code: Code;
  readonly details: Details;
  override readonly name = 'GrailError';

  constructor(code: Code, message: string, details: Details = {}, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.details = details;
  }

  /** Whose fault it is, hence what the other side should do. */
  get fault(): Fault {
    return CODES[this.code].fault;
  }

  toJSON(): { code: Code; message: string; details: Details } {
    return { code: this.code, message: this.message, details: this.details };
  }
}

/** Anything thrown, as the error it is or as INTERNAL with the stack. */
export function codedError(error: unknown): GrailError {
  if (error instanceof GrailError) return error;
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new GrailError('INTERNAL', text, {}, { cause: error });
}

/** The error that another thread or process of this program sent as JSON; an unknown code becomes INTERNAL. */
export function revivedError(value: {
  readonly code: string;
  readonly message: string;
  readonly details: object;
}): GrailError {
  const code = Object.hasOwn(CODES, value.code) ? (value.code as Code) : 'INTERNAL';
  return new GrailError(code, value.message, value.details as Details);
}

/** A failed check in a verdict: which rule, where, what was expected and what came. It stands in the ledger as it is. */
export interface Rejection {
  readonly code: Code;
  readonly slot?: number;
  readonly step?: number;
  readonly part?: number;
  readonly expected?: Json;
  readonly got?: Json;
}

/** One line for a terminal: the code, the place, what was expected and what came. */
export function describeRejection(rejection: Rejection): string {
  const { code, expected, got, ...place } = rejection;
  const where = Object.entries(place).map(([name, value]) => `${name} ${value}`);
  const values = expected === undefined ? '' : ` expected ${show(expected)}, got ${show(got ?? null)}.`;
  return `${code}${where.length > 0 ? ` at ${where.join(', ')}` : ''}:${values} ${CODES[code].doc}`;
}

const show = (value: Json) => (typeof value === 'string' ? value : JSON.stringify(value));
