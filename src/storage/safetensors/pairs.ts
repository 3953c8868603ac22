/** Pairs of name and value in a parsed JSON text, at every depth. */
export function countPairs(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const inner = Object.values(value);
  return inner.reduce((sum: number, part) => sum + countPairs(part), Array.isArray(value) ? 0 : inner.length);
}

/**
 * Pairs of name and value in a text that JSON.parse has taken: its colons outside strings. More of them than
 * `countPairs` says are a name given twice, of which JSON.parse keeps the last.
 */
export function writtenPairs(text: string): number {
  let pairs = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const letter = text[at];
    if (inString && letter === '\\') at++;
    else if (letter === '"') inString = !inString;
    else if (letter === ':' && !inString) pairs++;
  }
  return pairs;
}
