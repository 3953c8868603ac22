import { describeEvent, type MinerEvent, type Progress } from '../../rollouts/events.ts';
import type { Miner } from '../../rollouts/miner.ts';
import { MinerStatus } from '../../rollouts/status.ts';
import type { CommandIo } from './command.ts';
import { deservesLine, painter, statusLines } from './miner-lines.ts';
import { type Screen, terminalScreen } from './screen.ts';
import { printable, shortHex } from './text.ts';

/** Five pictures a second: enough to see something move. */
const REDRAW_MS = 200;

/** Where a miner says what it does: a live status on a terminal, else a line an event. */
export class MinerScreen {
  readonly #io: CommandIo;
  readonly #json: boolean;
  readonly #status = new MinerStatus(performance.now.bind(performance));
  #screen: Screen | null = null;
  #timer: NodeJS.Timeout | undefined;
  #draw: (log: readonly string[]) => void = () => {};
  #last = '';

  /** @param json prints every event on stdout as well */
  constructor(io: CommandIo, json: boolean) {
    this.#io = io;
    this.#json = json;
  }

  event = (event: MinerEvent): void => {
    if (this.#json) this.#io.out(JSON.stringify(event));
    this.#status.event(event);
    if (this.#screen === null) this.say(describeEvent(event));
    else if (deservesLine(event)) this.#draw([shortHex(printable(describeEvent(event)))]);
  };

  progress = (progress: Progress): void => this.#status.progress(progress);

  /** One line for people. */
  say = (line: string): void => this.#io.err(printable(line));

  /** Begins to show the status of a miner, where stderr is a terminal that stdout does not write to as well. */
  watch(title: string, miner: Miner): void {
    if (this.#json && process.stdout.isTTY) return;
    const screen = terminalScreen(this.#io.env, process.stderr);
    if (screen === null) {
      this.say(title);
      return;
    }
    const paint = painter(this.#io.env);
    const { view } = miner;
    const status = this.#status;
    this.#screen = screen;
    this.#draw = (log) => {
      const lines = statusLines(title, { status, view, summary: miner.summary }, screen.width, paint);
      const picture = lines.join('\n');
      if (log.length === 0 && picture === this.#last) return;
      this.#last = picture;
      screen.show(lines, log);
    };
    this.#draw([]);
    this.#timer = setInterval(() => this.#draw([]), REDRAW_MS);
  }

  /** Leaves the last picture, and gives the terminal back. */
  close(): void {
    clearInterval(this.#timer);
    this.#screen?.close();
    this.#screen = null;
  }
}
