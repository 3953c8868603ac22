import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import type { Environment } from '../environments/environment.ts';
import { GrailError } from '../protocol/errors.ts';
import type { CommandIo } from './command.ts';
import { type Episode, type Frame, type Player, playEpisode, samplingPlayer } from './env-episode.ts';
import { findEnvironment } from './env-find.ts';
import { KeyMap, keyboardPlayer, terminalKeys } from './env-keyboard.ts';
import { EXIT_INTERRUPTED } from './run.ts';
import { terminalScreen } from './screen.ts';

/** The word of `--policy` that is no folder. */
export const RANDOM = 'random';

/** Frames a second: to watch, and for a person's reflexes. */
const WATCHED_FPS = 15;
const PLAYED_FPS = 6;

/** What `grail env play` was asked. */
export interface PlayOptions {
  readonly id?: string | undefined;
  readonly seed: number;
  readonly policy: string;
  readonly version?: number | undefined;
  readonly keyboard: boolean;
  readonly fps?: number | undefined;
  readonly steps: number;
  readonly noAnimation: boolean;
  readonly json: boolean;
}

type By = 'random' | 'keyboard' | { readonly directory: string; readonly version: number };

/** What is played, and by whom. */
interface Cast {
  readonly environment: Environment;
  readonly by: By;
  readonly player: Player;
}

/** `grail env play`. Gives the exit code. */
export async function play(options: PlayOptions, io: CommandIo): Promise<number> {
  if (options.keyboard) return playByHand(options, io);
  const { environment, by, player } = await cast(options);
  const screen = options.json || options.noAnimation ? null : terminalScreen(io.env);
  const title = titleOf(environment, options, by);
  const { signal, out } = io;
  const periodMs = 1000 / (options.fps ?? WATCHED_FPS);
  let shown: Frame | null = null;
  const show = (frame: Frame) => {
    const first = shown === null;
    shown = frame;
    if (options.json) return;
    if (screen !== null) screen.show([title, '', ...pictureOf(environment, frame)]);
    else if (first || !options.noAnimation) {
      for (const line of [...(first ? [title] : []), '', ...pictureOf(environment, frame)]) out(line);
    }
  };
  const paced: Player = async (step, observation) => {
    // Signals are heard between steps, however fast these are.
    await (screen === null ? setImmediate() : sleep(periodMs, undefined, { signal }).catch(() => {}));
    return signal.aborted ? 'interrupted' : player(step, observation);
  };
  let episode: Episode;
  try {
    episode = await playEpisode({
      environment,
      seed: options.seed,
      player: paced,
      maxSteps: options.steps,
      show,
    });
  } finally {
    screen?.close();
  }
  if (options.noAnimation && !options.json && episode.actions.length > 0) {
    for (const line of ['', ...pictureOf(environment, shown!)]) out(line);
  }
  return report(environment, options, by, episode, io);
}

async function playByHand(options: PlayOptions, io: CommandIo): Promise<number> {
  if (options.policy !== RANDOM) throw usage('--keyboard plays by hand: leave --policy out');
  if (options.version !== undefined) throw usage('--version needs --policy DIR');
  if (options.json || options.noAnimation)
    throw usage('--keyboard draws: leave --json and --no-animation out');
  const environment = chosenEnvironment(options.id);
  const screen = terminalScreen(io.env);
  const keys = screen === null ? null : terminalKeys();
  try {
    if (screen === null || keys === null) throw usage('--keyboard needs a terminal for keys and pictures');
    const map = new KeyMap(environment);
    const title = titleOf(environment, options, 'keyboard');
    const start = map.idle === null ? 'each key is a step' : 'the first key starts the clock';
    const episode = await playEpisode({
      environment,
      seed: options.seed,
      player: keyboardPlayer(map, keys, 1000 / (options.fps ?? PLAYED_FPS), io.signal),
      maxSteps: options.steps,
      show: (frame) => screen.show([title, ...map.legend, start, '', ...pictureOf(environment, frame)]),
    });
    keys.close();
    screen.close();
    return report(environment, options, 'keyboard', episode, io);
  } finally {
    keys?.close();
    screen?.close();
  }
}

async function cast(options: PlayOptions): Promise<Cast> {
  const { seed, version } = options;
  if (options.policy === RANDOM) {
    if (version !== undefined) throw usage('--version needs --policy DIR');
    const environment = chosenEnvironment(options.id);
    return { environment, by: 'random', player: samplingPlayer(environment, seed, null) };
  }
  const directory = options.policy;
  // Only now: it brings TensorFlow.js along.
  const { readStoredPolicy } = await import('./stored-policy.ts');
  const stored = await readStoredPolicy(directory, version);
  const environment = findEnvironment(stored.environment);
  if (options.id !== undefined && findEnvironment(options.id).id !== environment.id) {
    throw usage(`the policies of ${directory} play ${environment.id}: leave ${options.id} out`);
  }
  const by = { directory, version: stored.version };
  return { environment, by, player: samplingPlayer(environment, seed, stored.policy) };
}

function chosenEnvironment(id: string | undefined): Environment {
  if (id === undefined) throw usage('ID is missing: `grail env list` shows what there is');
  return findEnvironment(id);
}

function usage(message: string): GrailError {
  return new GrailError('USAGE', `${message} (grail env --help shows what there is)`);
}

function titleOf(environment: Environment, { seed }: PlayOptions, by: By): string {
  const who = typeof by === 'string' ? by : `policy ${by.version} of ${by.directory}`;
  return `${environment.id}  seed ${seed}  ${who}`;
}

/** At most four digits after the point. */
const short = (value: number) => String(Number(value.toFixed(4)));

function pictureOf(environment: Environment, frame: Frame): string[] {
  const status = [`step ${frame.step}`];
  if (frame.last !== null) {
    status.push(environment.actionNames[frame.last.action]!, `reward ${short(frame.last.reward)}`);
  }
  status.push(`return ${short(frame.return)}`);
  return [...frame.picture.split('\n'), '', status.join('  ')];
}

const ENDS: Readonly<Record<Episode['end'], string>> = {
  terminated: 'it ended in a terminal state',
  truncated: 'it reached the time limit',
  limit: 'stopped by --steps, it would have gone on',
  quit: 'stopped by q',
  interrupted: 'interrupted',
};

function report(
  environment: Environment,
  options: PlayOptions,
  by: By,
  episode: Episode,
  { out }: CommandIo,
): number {
  const { actions, end } = episode;
  const steps = actions.length;
  if (options.json) {
    const { seed } = options;
    out(
      JSON.stringify({
        environment: environment.id,
        seed,
        policy: by,
        return: episode.return,
        steps,
        end,
        actions,
      }),
    );
  } else {
    out('');
    out(`Return ${short(episode.return)} in ${steps} ${steps === 1 ? 'step' : 'steps'}: ${ENDS[end]}.`);
  }
  return end === 'interrupted' ? EXIT_INTERRUPTED : 0;
}
