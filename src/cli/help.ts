import { type Field, fields } from './arguments.ts';
import type { AnyCommand } from './command.ts';

const METAVARIABLE = { boolean: '', number: ' N', string: ' TEXT', list: ' TEXT …' } as const;

const LINE = 110;
/** Choices that fit here stand in the left column; more of them go to the text. */
const INLINE_CHOICES = 28;

function inline(field: Field): string | null {
  const choices = field.choices?.join('|');
  return choices !== undefined && choices.length <= INLINE_CHOICES ? choices : null;
}

function value(field: Field): string {
  if (field.choices !== null) return ` ${inline(field) ?? 'KIND'}`;
  return METAVARIABLE[field.kind];
}

const dashes = ({ name, short }: Field) => `${short === null ? '' : `-${short}, `}--${name}`;

function text(field: Field): string {
  const choices = field.choices === null || inline(field) !== null ? '' : `: ${field.choices.join(', ')}`;
  const shown = field.fallback === null || field.fallback === 'false' ? '' : ` (default ${field.fallback})`;
  return `${field.doc}${choices}${shown}`;
}

/** Breaks text at spaces so that no line is longer than `width`, where words allow. */
function wrap(words: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of words.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

function table(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  return rows.flatMap(([left, right]) =>
    wrap(right, LINE - width - 4).map((line, i) =>
      `  ${(i === 0 ? left : '').padEnd(width)}  ${line}`.trimEnd(),
    ),
  );
}

/** `grail COMMAND --help`, line by line. */
export function commandHelp(command: AnyCommand): string[] {
  const positionals = fields(command.positionals);
  const flags = fields(command.flags);
  const places = positionals.map((field) => {
    const label = field.choices?.join('|') ?? field.name.toUpperCase();
    if (field.kind === 'list') return `${label}…`;
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
    const rows = flags.map((field) => [`${dashes(field)}${value(field)}`, text(field)] as const);
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
