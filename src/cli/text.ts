/** Breaks text at spaces so that no line is wider than `width`, where words allow. */
export function wrap(words: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of words.split(' ')) {
    if (line !== '' && columns(line) + 1 + columns(word) > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

/** Columns that text takes in a terminal: one a character, none for the dot of ẋ when it is a character of its own. */
export function columns(text: string): number {
  return [...text.replace(/\p{M}/gu, '')].length;
}

/** Text with blanks behind it, `width` columns in all. */
export function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - columns(text)));
}

/** `text` in a column that begins after `left`: its first line beside it, the others below. */
export function beside(left: string, text: string, width: number): string[] {
  const indent = columns(left);
  return wrap(text, width - indent).map((line, i) => (i === 0 ? left : ' '.repeat(indent)) + line);
}

/** Rows in columns two blanks apart; a column whose cells below the first row are all numbers is aligned to the right. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const count = Math.max(...rows.map((row) => row.length));
  const layout = Array.from({ length: count }, (_, i) => ({
    width: Math.max(...rows.map((row) => columns(row[i] ?? ''))),
    right: rows.slice(1).every((row) => /^[\d.,%]*$/.test(row[i] ?? '')),
  }));
  return rows.map((row) =>
    layout
      .map(({ width, right }, i) => (right ? (row[i] ?? '').padStart(width) : pad(row[i] ?? '', width)))
      .join('  ')
      .trimEnd(),
  );
}

/** Text from elsewhere without what could move a terminal's cursor or turn the direction of a line. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\ufffd');
}

/** Text with long hexadecimal numbers as their two ends. */
export function shortHex(text: string): string {
  return text.replace(/0x([0-9a-f]{4})[0-9a-f]{8,}([0-9a-f]{4})/g, '0x$1…$2');
}

/**
 * A number of seconds as a person reads it: 0.4 s, 12 s, 2 min 5 s, 3 h 20 min.
 * @param digits of a few seconds, after the point
 */
export function duration(seconds: number, digits = 1): string {
  if (seconds < 9.95) return `${seconds.toFixed(digits)} s`;
  const whole = Math.round(seconds);
  if (whole < 100) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
