import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { parseArguments } from '../../src/cli/arguments.ts';
import { defineCommand } from '../../src/cli/command.ts';
import { commandHelp } from '../../src/cli/help.ts';
import { GrailError } from '../../src/protocol/errors.ts';

const command = defineCommand({
  name: 'probe',
  summary: 'Probes',
  notes: 'A note.',
  positionals: z.strictObject({
    kind: z.enum(['policy', 'proof']),
    index: z.number().int().min(0).optional().describe('Its place'),
  }),
  flags: z.strictObject({
    maxSlots: z.number().int().min(1).max(64).default(16).describe('Slots a miner'),
    rate: z.number().optional(),
    url: z.string().url(),
    keepAll: z.boolean().default(false).describe('Keeps all'),
    beacon: z.enum(['local', 'drand']).default('local'),
    peer: z.array(z.string()).default([]),
  }),
  async run() {
    return 0;
  },
});

const parse = (...argv: string[]) => parseArguments(command, argv);
const URL_FLAG = '--url=http://127.0.0.1:1';

function message(...argv: string[]): string {
  try {
    parse(...argv);
  } catch (error) {
    expect(error).toBeInstanceOf(GrailError);
    expect((error as GrailError).code).toBe('USAGE');
    return (error as GrailError).message;
  }
  throw new Error(`${argv.join(' ')} was accepted`);
}

describe('parseArguments', () => {
  test('fills in defaults and leaves out optional ones', () => {
    expect(parse('policy', URL_FLAG)).toEqual({
      positionals: { kind: 'policy' },
      flags: { maxSlots: 16, url: 'http://127.0.0.1:1', keepAll: false, beacon: 'local', peer: [] },
    });
  });

  test('takes kebab-case flags, numbers, booleans, choices and repeated flags', () => {
    const argv = [
      'proof',
      '7',
      URL_FLAG,
      '--max-slots',
      '32',
      '--rate=-1.5',
      '--keep-all',
      '--beacon',
      'drand',
    ];
    expect(parse(...argv, '--peer', 'a', '--peer', 'b')).toEqual({
      positionals: { kind: 'proof', index: 7 },
      flags: {
        maxSlots: 32,
        rate: -1.5,
        url: 'http://127.0.0.1:1',
        keepAll: true,
        beacon: 'drand',
        peer: ['a', 'b'],
      },
    });
  });

  test('names the flag that is unknown', () => {
    expect(message('policy', URL_FLAG, '--slots', '3')).toContain('there is no flag --slots');
  });

  test.each(['abc', '', '0x10', '1_000', 'Infinity', 'NaN', ' 3'])(
    'refuses %j as a number, naming the flag',
    (text) => {
      expect(message('policy', URL_FLAG, `--max-slots=${text}`)).toContain(
        `--max-slots takes a number, not '${text}'`,
      );
    },
  );

  test.each(['0', '65', '1.5'])('refuses the number %s outside the flag’s range', (text) => {
    expect(message('policy', URL_FLAG, '--max-slots', text)).toContain(`--max-slots is ${text}`);
  });

  test('lists the choices of a flag and of a positional', () => {
    expect(message('policy', URL_FLAG, '--beacon', 'moon')).toContain(
      "--beacon is one of local, drand, not 'moon'",
    );
    expect(message('rollout', URL_FLAG)).toContain("KIND is one of policy, proof, not 'rollout'");
  });

  test('names what is missing, given twice, given a value, or given no value', () => {
    expect(message('policy')).toContain('--url is missing');
    expect(message(URL_FLAG)).toContain('KIND is missing');
    expect(message('policy', URL_FLAG, URL_FLAG)).toContain('--url is given twice');
    expect(message('policy', URL_FLAG, '--keep-all=yes')).toContain('--keep-all takes no value');
    expect(message('policy', '--url')).toContain('--url needs a value');
    expect(message('policy', '1', 'more', URL_FLAG)).toContain("no place for 'more'");
  });
});

describe('commandHelp', () => {
  test('shows every flag with its default, and the notes', () => {
    const help = commandHelp(command).join('\n');
    expect(help).toContain('grail probe policy|proof [INDEX] --url TEXT [flags]');
    expect(help).toMatch(/--max-slots N +Slots a miner \(default 16\)/);
    expect(help).toMatch(/--keep-all +Keeps all$/m);
    expect(help).toMatch(/--beacon local\|drand +\(default local\)/);
    expect(help).toContain('A note.');
  });

  test('moves a long list of choices into the text and keeps lines short', () => {
    const kinds = Array.from({ length: 20 }, (_, i) => `choice-${i}`);
    const long = defineCommand({
      name: 'long',
      summary: 'Long',
      positionals: z.strictObject({}),
      flags: z.strictObject({ kind: z.enum(kinds).optional().describe('one of many') }),
      async run() {
        return 0;
      },
    });
    const help = commandHelp(long);
    expect(help.join(' ')).toMatch(/--kind KIND +one of many: choice-0, choice-1,/);
    for (const kind of kinds) expect(help.join(' ')).toContain(kind);
    expect(Math.max(...help.map(({ length }) => length))).toBeLessThanOrEqual(110);
  });
});
