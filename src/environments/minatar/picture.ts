/** Rows and columns of every game's grid. */
export const GRID = 10;

/**
 * A grid in a frame, 24 × 12 characters, two a cell.
 *
 * @param cells `[10, 10, channels]`, not 0 where something is
 * @param glyphs `[channels]`, two characters each; an earlier one covers a later one, '' is not drawn
 */
export function picture(cells: Int8Array, glyphs: readonly string[]): string {
  const bar = '─'.repeat(2 * GRID);
  const lines = [`┌${bar}┐`];
  for (let row = 0; row < GRID; row++) {
    let line = '';
    for (let column = 0; column < GRID; column++) {
      const at = (row * GRID + column) * glyphs.length;
      const channel = glyphs.findIndex((glyph, i) => glyph !== '' && cells[at + i] !== 0);
      line += glyphs[channel] ?? '  ';
    }
    lines.push(`│${line}│`);
  }
  lines.push(`└${bar}┘`);
  return lines.join('\n');
}
