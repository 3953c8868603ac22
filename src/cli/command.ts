import type { z } from 'zod';

/** What a command may touch: nothing of `process`, so that a test can run it. */
export interface CommandIo {
  /** Aborted by Ctrl-C or SIGTERM: stop cleanly, then return or throw STOPPED. */
  readonly signal: AbortSignal;
  /** Writes one line to stdout. */
  readonly out: (line: string) => void;
  /** Writes one line to stderr: progress and everything else that is not the result. */
  readonly err: (line: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
}

type Shape = z.ZodObject;

export interface CommandContext<Positionals, Flags> extends CommandIo {
  readonly positionals: Positionals;
  readonly flags: Flags;
}

/**
 * A subcommand of `grail`. Flags and positionals are zod objects: keys in camelCase become `--kebab-case` flags,
 * `.describe()` and `.default()` become the help text, and what does not parse is USAGE, naming the flag. Allowed
 * types: boolean, number, string, enum, and an array of strings for a flag that may repeat or a last positional that takes
 * all that is left. `.meta({ short: 'o' })` gives a flag a letter: `-o`.
 */
export interface Command<P extends Shape = Shape, F extends Shape = Shape> {
  readonly name: string;
  /** One line for `grail --help`. */
  readonly summary: string;
  /** What follows the summary in the command's own help: examples, exit codes. */
  readonly notes?: string;
  /** Positional arguments, in order; optional ones last. */
  readonly positionals: P;
  readonly flags: F;
  /** Gives the exit code; nothing is 0. Failures are thrown as GrailError. */
  run(context: CommandContext<z.output<P>, z.output<F>>): Promise<number | undefined>;
}

/** A command whose types the dispatcher need not know. */
export type AnyCommand = Command<Shape, Shape>;

/** Ties a command's handler to the types of its flags. */
export function defineCommand<P extends Shape, F extends Shape>(command: Command<P, F>): AnyCommand {
  return command as unknown as AnyCommand;
}
