import { GrailError } from '../src/protocol/errors.ts';

/**
 * Parses JSON from a stranger: valid UTF-8 without a byte order mark, no deeper than `depth` (checked before it is
 * parsed).
 * @throws GrailError BAD_REQUEST
 */
export function parseJson(bytes: Uint8Array, depth: number): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new GrailError('BAD_REQUEST', 'the text is not valid UTF-8');
  }
  return parseJsonText(text, depth);
}

/** As `parseJson`, from text. @throws GrailError BAD_REQUEST */
export function parseJsonText(text: string, depth: number): unknown {
  checkDepth(text, depth);
  try {
    return JSON.parse(text);
  } catch {
    throw new GrailError('BAD_REQUEST', 'the text is not JSON');
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Brackets outside strings, in one pass. What is no JSON may pass; the parser refuses it next. */
function checkDepth(text: string, most: number): void {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) {
      at = endOfString(text, at);
    } else if (unit === 0x5b || unit === 0x7b) {
      depth += 1;
      if (depth > most) {
        throw new GrailError('BAD_REQUEST', `the JSON is nested deeper than ${most} levels`, { limit: most });
      }
    } else if (unit === 0x5d || unit === 0x7d) {
      depth -= 1;
    }
  }
}

/** Where the string that begins at `start` ends. `indexOf` is twenty times a loop's speed, and hex fills most bodies. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let first = end;
    while (text.charCodeAt(first - 1) === BACKSLASH) first -= 1;
    if ((end - first) % 2 === 0) return end;
  }
  return text.length;
}
