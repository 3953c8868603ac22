/** A place where a picture is drawn over the one before it. */
export interface Screen {
  /** Draws lines in place of those shown last; what the terminal has no room for is cut off. */
  show(lines: readonly string[]): void;
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

/** What a terminal must be told to show `lines` over a picture of `above` rows, and the rows that it then has. */
export function redraw(
  lines: readonly string[],
  above: number,
  terminalRows: number,
): { text: string; rows: number } {
  // The cursor's own row stays free; the last line is the status, which a short terminal must keep.
  const room = Math.max(1, terminalRows - 1);
  const shown = lines.length <= room ? lines : [...lines.slice(0, room - 1), lines.at(-1)!];
  const up = above === 0 ? '' : `${ESCAPE}${Math.min(above, room)}A`;
  const text = `\r${up}${shown.map((line) => `${line}${CLEAR_LINE}\n`).join('')}${CLEAR_BELOW}`;
  return { text, rows: shown.length };
}

/**
 * This process's terminal, or null when stdout is none that can move its cursor. The terminal is as it was after
 * `close`, at this process's exit, and while Ctrl-Z keeps it stopped.
 */
export function terminalScreen(env: Readonly<Record<string, string | undefined>>): Screen | null {
  const { stdout } = process;
  if (!stdout.isTTY || env.TERM === 'dumb') return null;
  let rows = 0;
  let taken = false;
  const take = () => {
    taken = true;
    rows = 0;
    stdout.write(HIDE_CURSOR + NO_WRAP);
  };
  const release = () => {
    if (!taken) return;
    taken = false;
    stdout.write(WRAP + SHOW_CURSOR);
  };
  const suspend = () => {
    release();
    process.kill(process.pid, 'SIGSTOP');
  };
  process.on('exit', release).on('SIGTSTP', suspend).on('SIGCONT', take);
  take();
  return {
    show(lines) {
      const drawn = redraw(lines, rows, stdout.rows || UNKNOWN_ROWS);
      rows = drawn.rows;
      stdout.write(drawn.text);
    },
    close() {
      release();
      process.off('exit', release).off('SIGTSTP', suspend).off('SIGCONT', take);
    },
  };
}
