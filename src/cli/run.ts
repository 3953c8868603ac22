import { GrailError } from '../protocol/errors.ts';
import { diskError } from '../storage/disk-errors.ts';
import { packageVersion } from '../storage/package-root.ts';
import { parseArguments } from './arguments.ts';
import type { CommandIo } from './command.ts';
import { commandHelp, generalHelp } from './help.ts';
import { COMMANDS, isCommandName, loadCommand } from './registry.ts';

export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;
export const EXIT_INTERRUPTED = 130;

/**
 * Runs `grail` with these arguments (without `node` and the script) and gives the exit code. A failure is one line
 * `CODE: message` on stderr and its details below it; with --json also a last line {"error": …} on stdout.
 */
export async function run(argv: readonly string[], io: CommandIo): Promise<number> {
  const [name, ...rest] = argv;
  try {
    if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
      return await help(name === 'help' ? rest[0] : undefined, name === undefined, io);
    }
    if (name === '--version' || name === '-v' || name === 'version') {
      io.out(packageVersion());
      return 0;
    }
    if (!isCommandName(name)) throw unknownCommand(name);
    if (wantsHelp(rest)) return await help(name, false, io);
    const command = await loadCommand(name);
    const { flags, positionals } = parseArguments(command, rest);
    const code = (await command.run({ ...io, flags, positionals })) ?? 0;
    return io.signal.aborted ? EXIT_INTERRUPTED : code;
  } catch (error) {
    return report(error, rest.includes('--json'), io);
  }
}

function wantsHelp(rest: readonly string[]): boolean {
  const end = rest.indexOf('--');
  const before = end === -1 ? rest : rest.slice(0, end);
  return before.includes('--help') || before.includes('-h');
}

async function help(name: string | undefined, wrong: boolean, io: CommandIo): Promise<number> {
  if (name !== undefined) {
    if (!isCommandName(name)) throw unknownCommand(name);
    for (const line of commandHelp(await loadCommand(name))) io.out(line);
    return 0;
  }
  for (const line of generalHelp(packageVersion(), COMMANDS)) (wrong ? io.err : io.out)(line);
  return wrong ? EXIT_USAGE : 0;
}

function unknownCommand(name: string): GrailError {
  const names = COMMANDS.map((command) => command.name).join(', ');
  const what = name.startsWith('-') ? 'flag' : 'command';
  return new GrailError('USAGE', `there is no ${what} ${name}; commands are ${names} (grail --help)`);
}

function report(error: unknown, json: boolean, io: CommandIo): number {
  if (io.signal.aborted) {
    io.err('stopped');
    return EXIT_INTERRUPTED;
  }
  const known = diskError(error);
  const coded =
    known instanceof GrailError
      ? known
      : new GrailError('INTERNAL', error instanceof Error ? error.message : String(error));
  io.err(`${coded.code}: ${coded.message}`);
  const usage = coded.code === 'USAGE';
  for (const [key, value] of usage ? [] : Object.entries(coded.details)) {
    io.err(`  ${key}: ${typeof value === 'string' ? value : JSON.stringify(value)}`);
  }
  // A bug's stack is what its report needs; a coded failure's stack tells its reader nothing.
  if (coded !== known && error instanceof Error && error.stack !== undefined) io.err(error.stack);
  if (json) io.out(JSON.stringify({ error: coded }));
  return usage ? EXIT_USAGE : EXIT_FAILED;
}
