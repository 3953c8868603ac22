/** A place where a picture is drawn over the one before it. */
export interface Screen {
  /** Columns that a line may take. */
  readonly width: number;
  /**
   * Draws lines in place of those shown last; what the terminal has no room for is cut off.
   * @param log lines that stay above the picture
   */
  show(lines: readonly string[], log?: readonly string[]): void;
  /** Gives the cursor back, below the last picture. May be called again. */
  close(): void;
}

const ESCAPE = '\u001b[';
const HIDE_CURSOR = `${ESCAPE}?25l`;
const SHOW_CURSOR = `${ESCAPE}?25h`;
/** A line that is too long ends at the edge: one line stays one row, so the way back up is known. */
const NO_WRAP = `${ESCAPE}?7l`;
const WRAP = `${ESCAPE}?7h`;
const CLEAR_LINE = `${ESCAPE}K`;
const CLEAR_BELOW = `${ESCAPE}J`;
/** Of a terminal that does not say, or says 0. */
const UNKNOWN_ROWS = 24;
const UNKNOWN_COLUMNS = 80;

/**
 * What a terminal must be told to show `lines` over a picture of `above` rows, and the rows that it then has.
 * @param log lines that take the old picture's place: as long as they are, above the new one
 */
export function redraw(
  lines: readonly string[],
  above: number,
  terminalRows: number,
  log: readonly string[] = [],
): { text: string; rows: number } {
  // The cursor's own row stays free; the last line is the status, which a short terminal must keep.
  const room = Math.max(1, terminalRows - 1);
  const shown = lines.length <= room ? lines : [...lines.slice(0, room - 1), lines.at(-1)!];
  const up = above === 0 ? '' : `${ESCAPE}${Math.min(above, room)}A`;
  const kept =
    log.length === 0 ? '' : `${CLEAR_BELOW}${WRAP}${log.map((line) => `${line}\n`).join('')}${NO_WRAP}`;
  const text = `\r${up}${kept}${shown.map((line) => `${line}${CLEAR_LINE}\n`).join('')}${CLEAR_BELOW}`;
  return { text, rows: shown.length };
}

/**
 * The terminal of one of this process's streams, or null when it is none that can move its cursor. The terminal is as it
 * was after `close`, at this process's exit, and while Ctrl-Z keeps it stopped.
 */
export function terminalScreen(
  env: Readonly<Record<string, string | undefined>>,
  stream: NodeJS.WriteStream = process.stdout,
): Screen | null {
  if (!stream.isTTY || env.TERM === 'dumb') return null;
  let rows = 0;
  let taken = false;
  const take = () => {
    taken = true;
    rows = 0;
    stream.write(HIDE_CURSOR + NO_WRAP);
  };
  const release = () => {
    if (!taken) return;
    taken = false;
    stream.write(WRAP + SHOW_CURSOR);
  };
  const suspend = () => {
    release();
    process.kill(process.pid, 'SIGSTOP');
  };
  process.on('exit', release).on('SIGTSTP', suspend).on('SIGCONT', take);
  take();
  return {
    get width() {
      // Clearing what is behind a line that fills its row would take its last character.
      return (stream.columns || UNKNOWN_COLUMNS) - 1;
    },
    show(lines, log) {
      const drawn = redraw(lines, rows, stream.rows || UNKNOWN_ROWS, log);
      rows = drawn.rows;
      stream.write(drawn.text);
    },
    close() {
      release();
      process.off('exit', release).off('SIGTSTP', suspend).off('SIGCONT', take);
    },
  };
}
