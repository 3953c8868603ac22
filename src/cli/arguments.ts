import { parseArgs } from 'node:util';
import { z } from 'zod';
import { GrailError } from '../protocol/errors.ts';
import type { AnyCommand } from './command.ts';

type Kind = 'boolean' | 'number' | 'string' | 'list';

/** A flag or positional as the command line sees it. */
export interface Field {
  /** Its key in the schema, camelCase. */
  readonly key: string;
  /** `--kebab-case` without the dashes. */
  readonly name: string;
  /** The letter of `.meta({ short })`: `-o` is the same as `--out`. */
  readonly short: string | null;
  readonly kind: Kind;
  readonly doc: string;
  readonly choices: readonly string[] | null;
  readonly required: boolean;
  /** What `--help` shows; null when there is none. */
  readonly fallback: string | null;
}

const kebab = (key: string) => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Describes every key of a command's schema. @throws TypeError for a schema that a command line cannot carry */
export function fields(schema: z.ZodObject): Field[] {
  return Object.entries(schema.shape).map(([key, outer]) => {
    let inner: unknown = outer;
    let doc = '';
    let short: string | null = null;
    let fallback: string | null = null;
    let required = true;
    for (;;) {
      const meta = z.globalRegistry.get(inner as z.ZodType);
      doc ||= meta?.description ?? '';
      if (typeof meta?.short === 'string') short = meta.short;
      if (inner instanceof z.ZodDefault) {
        required = false;
        fallback = String(inner.def.defaultValue);
        inner = inner.def.innerType;
      } else if (inner instanceof z.ZodOptional) {
        required = false;
        inner = inner.def.innerType;
      } else if (inner instanceof z.ZodPipe) {
        inner = inner.def.in;
      } else break;
    }
    const choices = inner instanceof z.ZodEnum ? inner.options.map(String) : null;
    const kind = kindOf(inner);
    if (kind === null) throw new TypeError(`${key}: a command line cannot carry this type`);
    if (kind === 'boolean') required = false;
    return { key, name: kebab(key), short, kind, doc, choices, required, fallback };
  });
}

function kindOf(schema: unknown): Kind | null {
  if (schema instanceof z.ZodBoolean) return 'boolean';
  if (schema instanceof z.ZodNumber) return 'number';
  if (schema instanceof z.ZodString || schema instanceof z.ZodEnum || schema instanceof z.ZodURL)
    return 'string';
  if (schema instanceof z.ZodArray && kindOf(schema.def.element) === 'string') return 'list';
  return null;
}

function usage(command: AnyCommand, message: string, details: { flag?: string } = {}): GrailError {
  return new GrailError('USAGE', `${message} (grail ${command.name} --help shows what there is)`, details);
}

/** Decimal text as a number: no hexadecimal, no empty text, no Infinity. */
function toNumber(command: AnyCommand, label: string, text: string): number {
  if (!/^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/.test(text)) {
    throw usage(command, `${label} takes a number, not '${text}'`, { flag: label });
  }
  return Number(text);
}

/** What the person typed, before zod has seen it. */
function scan(command: AnyCommand, flags: readonly Field[], argv: readonly string[]) {
  const options = Object.fromEntries(
    flags.map(({ name, short, kind }) => [
      name,
      {
        type: kind === 'boolean' ? ('boolean' as const) : ('string' as const),
        multiple: kind === 'list',
        ...(short !== null && { short }),
      },
    ]),
  );
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true, strict: true, tokens: true });
  } catch (error) {
    const code = (error as { code?: string }).code ?? '';
    if (!code.startsWith('ERR_PARSE_ARGS')) throw error;
    const flag = /'(?:-\w, )?(--?[^' <]*)/.exec((error as Error).message)?.[1] ?? '';
    if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') throw usage(command, `there is no flag ${flag}`, { flag });
    const known = flags.find(({ name }) => `--${name}` === flag);
    if (known?.kind === 'boolean') throw usage(command, `${flag} takes no value`, { flag });
    throw usage(command, `${flag} needs a value (write ${flag}=VALUE when it begins with a dash)`, { flag });
  }
}

/**
 * Parses the arguments of a command.
 * @throws GrailError USAGE with a sentence that names the flag
 */
export function parseArguments(
  command: AnyCommand,
  argv: readonly string[],
): { positionals: Record<string, unknown>; flags: Record<string, unknown> } {
  const flagFields = fields(command.flags);
  const positionalFields = fields(command.positionals);
  const { values, positionals, tokens } = scan(command, flagFields, argv);

  const seen = new Set<string>();
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const field = flagFields.find(({ name }) => name === token.name);
    if (field?.kind !== 'list' && seen.has(token.name)) {
      throw usage(command, `--${token.name} is given twice`, { flag: `--${token.name}` });
    }
    seen.add(token.name);
  }

  const rawPositionals: Record<string, unknown> = {};
  for (const [index, field] of positionalFields.entries()) {
    const label = field.name.toUpperCase();
    if (field.kind === 'list') {
      // The last one: it takes all that is left.
      rawPositionals[field.key] = positionals.splice(index);
      continue;
    }
    const value = positionals[index];
    if (value === undefined) {
      if (field.required) throw usage(command, `${label} is missing`, { flag: label });
      continue;
    }
    rawPositionals[field.key] = field.kind === 'number' ? toNumber(command, label, value) : value;
  }
  if (positionals.length > positionalFields.length) {
    throw usage(command, `there is no place for '${positionals[positionalFields.length]}'`);
  }
  const places = check(command, command.positionals, positionalFields, rawPositionals, (field) =>
    field.name.toUpperCase(),
  );

  const rawFlags: Record<string, unknown> = {};
  for (const field of flagFields) {
    const value = values[field.name];
    if (value === undefined) {
      if (field.kind === 'boolean') rawFlags[field.key] = field.fallback === 'true';
      else if (field.required)
        throw usage(command, `--${field.name} is missing`, { flag: `--${field.name}` });
      continue;
    }
    rawFlags[field.key] =
      field.kind === 'number' ? toNumber(command, `--${field.name}`, String(value)) : value;
  }

  const checked = check(command, command.flags, flagFields, rawFlags, (field) => `--${field.name}`);
  return { flags: checked, positionals: places };
}

function check(
  command: AnyCommand,
  schema: z.ZodObject,
  list: readonly Field[],
  raw: Record<string, unknown>,
  label: (field: Field) => string,
): Record<string, unknown> {
  const result = schema.safeParse(raw);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const field = list.find(({ key }) => key === issue.path[0]);
  const name = field === undefined ? 'arguments' : label(field);
  const reason =
    field?.choices != null
      ? `is one of ${field.choices.join(', ')}, not '${String(raw[field.key])}'`
      : `is ${String(field === undefined ? '' : raw[field.key])}: ${issue.message}`;
  throw usage(command, `${name} ${reason}`, { flag: name });
}
