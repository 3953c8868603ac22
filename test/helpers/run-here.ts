import { run } from '../../src/cli/run.ts';

/** What a command of `grail` printed, line by line, and its exit code. */
export interface Printed {
  readonly code: number;
  readonly out: readonly string[];
  readonly err: readonly string[];
}

/** Runs `grail …` in this process, whose stdout it does not touch. */
export async function runHere(args: string[], env: Readonly<Record<string, string>> = {}): Promise<Printed> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await run(args, {
    signal: new AbortController().signal,
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    env,
  });
  return { code, out, err };
}

/** The object that a command printed last. */
export function printedJson({ out }: Pick<Printed, 'out'>) {
  return JSON.parse(out.at(-1)!);
}
