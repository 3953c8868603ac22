import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesOf, patternsOf, type Rival } from './rival.ts';

/** A general-purpose differ that is run as a program on files. Its times include the files and the program's start. */
interface Differ {
  readonly name: string;
  readonly program: string;
  /** The package of Debian that has it. */
  readonly from: string;
  encode(base: string, target: string, patch: string): string[];
  decode(base: string, patch: string, target: string): string[];
}

function commandLine({ name, program, from, encode, decode }: Differ): Rival {
  const run = (
    files: Readonly<Record<string, Uint8Array>>,
    result: string,
    args: (path: (file: string) => string) => string[],
  ) => {
    const folder = mkdtempSync(join(tmpdir(), 'pulse-rival-'));
    try {
      const path = (file: string) => join(folder, file);
      for (const [file, bytes] of Object.entries(files)) writeFileSync(path(file), bytes);
      const { status, stderr } = spawnSync(program, args(path), { encoding: 'utf8' });
      if (status !== 0) throw new Error(`${program} failed with ${status}: ${stderr}`);
      return new Uint8Array(readFileSync(path(result)));
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
  return {
    name,
    missing: () =>
      spawnSync(program, ['-V']).error === undefined
        ? null
        : `not installed: apt-get install ${from} gives ${program}`,
    encode: (base, target) =>
      run({ base: bytesOf(base), target: bytesOf(target) }, 'patch', (path) =>
        encode(path('base'), path('target'), path('patch')),
      ),
    decode: (base, bytes) =>
      patternsOf(
        run({ base: bytesOf(base), patch: bytes }, 'target', (path) =>
          decode(path('base'), path('patch'), path('target')),
        ),
      ),
    headerBytes: () => 0,
  };
}

/** At level 3, the program's own choice, it hardly finds matches as short as those between changes; at 19 it does. */
export function zstdPatchFrom(level: number): Rival {
  return commandLine({
    name: `zstd -${level} --patch-from`,
    program: 'zstd',
    from: 'zstd',
    encode: (base, target, patch) => ['-q', `-${level}`, '-T1', `--patch-from=${base}`, target, '-o', patch],
    decode: (base, patch, target) => ['-q', '-d', '--long=31', `--patch-from=${base}`, patch, '-o', target],
  });
}

/** At its defaults. */
export const xdelta3 = commandLine({
  name: 'xdelta3',
  program: 'xdelta3',
  from: 'xdelta3',
  encode: (base, target, patch) => ['-e', '-q', '-s', base, target, patch],
  decode: (base, patch, target) => ['-d', '-q', '-s', base, patch, target],
});
