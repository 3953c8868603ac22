import { type Field, fields } from './arguments.ts';
import type { AnyCommand } from './command.ts';

const METAVARIABLE = { boolean: '', number: ' N', string: ' TEXT', list: ' TEXT …' } as const;

function value(field: Field): string {
  return field.choices === null ? METAVARIABLE[field.kind] : ` ${field.choices.join('|')}`;
}

function table(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`.trimEnd());
}

/** `grail COMMAND --help`, line by line. */
export function commandHelp(command: AnyCommand): string[] {
  const positionals = fields(command.positionals);
  const flags = fields(command.flags);
  const places = positionals.map((field) => {
    const label = field.choices?.join('|') ?? field.name.toUpperCase();
    return field.required ? label : `[${label}]`;
  });
  const required = flags.filter((field) => field.required).map((field) => `--${field.name}${value(field)}`);
  const lines = [
    `grail ${[command.name, ...places, ...required].join(' ')}${flags.length > required.length ? ' [flags]' : ''}`,
    '',
    `${command.summary}.`,
  ];
  const documented = positionals.filter(({ doc }) => doc !== '');
  if (documented.length > 0) {
    lines.push('', ...table(documented.map((field) => [field.name.toUpperCase(), field.doc])));
  }
  if (flags.length > 0) {
    const rows = flags.map((field): [string, string] => {
      const shown =
        field.fallback === null || field.fallback === 'false' ? '' : ` (default ${field.fallback})`;
      return [`--${field.name}${value(field)}`, `${field.doc}${shown}`];
    });
    lines.push('', 'Flags:', ...table(rows));
  }
  if (command.notes !== undefined) lines.push('', ...command.notes.trim().split('\n'));
  return lines;
}

/** `grail --help`, line by line. */
export function generalHelp(
  version: string,
  commands: readonly { name: string; summary: string }[],
): string[] {
  return [
    `grail ${version}: a reinforcement-learning rollout network with verifiable inference`,
    '',
    'grail COMMAND [arguments] [flags]',
    '',
    ...table(commands.map(({ name, summary }) => [name, summary])),
    '',
    'grail COMMAND --help shows the flags of a command; grail --version the version.',
    'Exit codes: 0 done, 1 failed (CODE: message on stderr), 2 wrong usage, 130 stopped by Ctrl-C.',
  ];
}
