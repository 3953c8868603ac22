/** First of the 256 braille patterns; a pattern's bits are its dots. */
const BRAILLE = 0x2800;
/** Bit of the dot at (column, row) of a character's 2 × 4 dots, index = row·2 + column. */
const DOTS = [0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80] as const;

/**
 * A picture of lines for a terminal: `columns` × `rows` characters of 2 × 4 braille dots. Coordinates are the
 * picture's own, x to the right and y upwards; what lies outside is left out.
 */
export class Canvas {
  readonly #columns: number;
  readonly #rows: number;
  readonly #left: number;
  readonly #bottom: number;
  /** Dots a unit. */
  readonly #scale: number;
  readonly #dots: Uint8Array;

  /** @param view the lower left corner and what the picture is wide; dots are square. */
  constructor(columns: number, rows: number, view: { left: number; bottom: number; width: number }) {
    this.#columns = columns;
    this.#rows = rows;
    this.#left = view.left;
    this.#bottom = view.bottom;
    this.#scale = (columns * 2 - 1) / view.width;
    this.#dots = new Uint8Array(columns * rows);
  }

  line(fromX: number, fromY: number, toX: number, toY: number): void {
    const dots = Math.ceil(Math.max(Math.abs(toX - fromX), Math.abs(toY - fromY)) * this.#scale);
    for (let i = 0; i <= dots; i++) {
      const part = dots === 0 ? 0 : i / dots;
      this.#dot(fromX + (toX - fromX) * part, fromY + (toY - fromY) * part);
    }
  }

  /** A filled rectangle. */
  box(left: number, bottom: number, right: number, top: number): void {
    for (let y = bottom; y <= top; y += 1 / this.#scale) this.line(left, y, right, y);
  }

  #dot(x: number, y: number): void {
    const column = Math.floor((x - this.#left) * this.#scale + 0.5);
    const row = this.#rows * 4 - 1 - Math.floor((y - this.#bottom) * this.#scale + 0.5);
    if (column < 0 || column >= this.#columns * 2 || row < 0 || row >= this.#rows * 4) return;
    const at = Math.floor(row / 4) * this.#columns + Math.floor(column / 2);
    this.#dots[at]! |= DOTS[(row % 4) * 2 + (column % 2)]!;
  }

  /** Lines without trailing blanks. */
  toString(): string {
    const lines: string[] = [];
    for (let row = 0; row < this.#rows; row++) {
      let line = '';
      for (const dots of this.#dots.subarray(row * this.#columns, (row + 1) * this.#columns)) {
        line += dots === 0 ? ' ' : String.fromCharCode(BRAILLE + dots);
      }
      lines.push(line.trimEnd());
    }
    return lines.join('\n');
  }
}
