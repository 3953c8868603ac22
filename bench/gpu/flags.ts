import { parseArgs } from 'node:util';

export const USAGE = `usage: run.sh [flags]
  --json FILE      where the results go (grail-gpu.json)
  --networks A,B   only these networks (all)
  --batches N,…    batches of the speed table (1,64,1024,8192,65536)
  --in-flight N,…  batches that WebGPU has at once (1,4)
  --seconds S      of one measurement (0.2)
  --runs N         runs in which each thing takes its turn; medians count (5)
  --rows N         rows that each policy of the compliance suite gets (65536)
  --policies N     random policies of each network in the compliance suite (4)
  --slots N        slots of a window of whole rollouts; 0 leaves them out (4096)
  --steps N        steps of such a slot (64)
  --threads N,…    threads that play it (1, 4 and one a core)
  --python PYTHON  a Python that may have PyTorch (python3)`;

export interface Flags {
  readonly json: string;
  readonly networks: readonly string[] | null;
  readonly batches: readonly number[];
  readonly inFlight: readonly number[];
  readonly seconds: number;
  readonly runs: number;
  readonly rows: number;
  readonly policies: number;
  readonly slots: number;
  readonly steps: number;
  readonly threads: readonly number[];
  readonly python: string;
}

/**
 * @returns null when help was asked for
 * @throws Error that says which flag is wrong
 */
export function parseFlags(args: string[], cores: number): Flags | null {
  const { values } = parseArgs({
    args,
    options: {
      json: { type: 'string', default: 'grail-gpu.json' },
      networks: { type: 'string' },
      batches: { type: 'string', default: '1,64,1024,8192,65536' },
      'in-flight': { type: 'string', default: '1,4' },
      seconds: { type: 'string', default: '0.2' },
      runs: { type: 'string', default: '5' },
      rows: { type: 'string', default: '65536' },
      policies: { type: 'string', default: '4' },
      slots: { type: 'string', default: '4096' },
      steps: { type: 'string', default: '64' },
      threads: { type: 'string' },
      python: { type: 'string', default: 'python3' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const number = (name: keyof typeof values, text: string, least: number, whole = true): number => {
    const value = Number(text);
    if (text.trim() !== '' && value >= least && value < 2 ** 31 && (!whole || Number.isInteger(value))) {
      return value;
    }
    throw new Error(
      `--${name} takes ${whole ? 'a whole number' : 'a number'} of at least ${least}, not ${text}`,
    );
  };
  const list = (name: keyof typeof values, text: string) =>
    text.split(',').map((part) => number(name, part, 1));
  return {
    json: values.json,
    networks: values.networks?.split(',').map((name) => name.trim()) ?? null,
    batches: list('batches', values.batches),
    inFlight: list('in-flight', values['in-flight']),
    seconds: number('seconds', values.seconds, 0.001, false),
    runs: number('runs', values.runs, 1),
    rows: number('rows', values.rows, 1),
    policies: number('policies', values.policies, 0),
    slots: number('slots', values.slots, 0),
    steps: number('steps', values.steps, 1),
    threads:
      values.threads === undefined
        ? [...new Set([1, Math.min(4, cores), cores])]
        : list('threads', values.threads),
    python: values.python,
  };
}
