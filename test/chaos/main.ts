import { parseArgs } from 'node:util';
import { z } from 'zod';
import { installMissing, natsServer, postgres } from '../../deploy/servers/programs.ts';
import { useNodeCrypto } from '../../src/storage/node-crypto.ts';
import { killAll } from '../helpers/grail-process.ts';
import { faketime } from './clock.ts';
import type { Outcome, Run } from './outcome.ts';
import { PARTS } from './parts.ts';
import { keepResults, table } from './report.ts';

const USAGE = `npm run chaos [-- flags]
  --moments N   kills in each mode (default 200)
  --seed N      decides when and whom (default 1)
  --mode MODE   one: a verifier of one process; many: one of several (default: both)
  --only PART   kills, disk, database, bus or clock (default: all)
  --json        print outcomes as JSON on stdout, one a line
Exit codes: 0 everything held, 1 something did not, 2 wrong usage, 130 Ctrl-C.`;

const flagsSchema = z.strictObject({
  moments: z.coerce.number().int().min(1).max(100_000).default(200),
  seed: z.coerce.number().int().min(0).max(0xffff_ffff).default(1),
  mode: z.enum(['one', 'many']).optional(),
  only: z.enum(['kills', 'disk', 'database', 'bus', 'clock']).optional(),
  json: z.boolean().default(false),
  help: z.boolean().default(false),
});

const err = (line: string) => void process.stderr.write(`${line}\n`);

function flags(): z.infer<typeof flagsSchema> {
  const text = { type: 'string' } as const;
  const yes = { type: 'boolean' } as const;
  try {
    const options = { moments: text, seed: text, mode: text, only: text, json: yes, help: yes };
    const { values } = parseArgs({ options });
    return flagsSchema.parse(values);
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    err(`USAGE: ${reason}\n${USAGE}`);
    process.exit(2);
  }
}

async function main(): Promise<number> {
  const { moments, seed, mode, only, json, help } = flags();
  if (help) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const parts = PARTS.filter(
    (part) => (only ?? part.kind) === part.kind && (mode ?? part.mode) === part.mode,
  );
  if (parts.length === 0) {
    err(`USAGE: --only ${only} has no part in the mode ${mode}\n${USAGE}`);
    return 2;
  }
  useNodeCrypto();
  installMissing([postgres, natsServer, faketime], err);
  const stopping = new AbortController();
  const stop = () => stopping.abort(new Error('stopped'));
  process.on('SIGINT', stop).on('SIGTERM', stop);
  // Every process that is alive has a listener that ends it with this one.
  process.setMaxListeners(0);
  const outcomes: Outcome[] = [];
  for (const part of parts) {
    const missing = part.missing();
    if (missing !== null) {
      err(`not run: ${part.name}: ${missing}`);
      continue;
    }
    err(`--- ${part.name}`);
    const log = (line: string) => err(`${part.name}: ${line}`);
    const run: Run = { seed, signal: stopping.signal, log };
    try {
      outcomes.push(await part.run(run, moments));
    } catch (error) {
      if (stopping.signal.aborted) {
        await killAll();
        return 130;
      }
      throw error;
    }
    if (json) process.stdout.write(`${JSON.stringify(outcomes.at(-1))}\n`);
  }
  keepResults(outcomes, { seed, moments });
  if (!json) process.stdout.write(table(outcomes));
  return outcomes.every(({ findings }) => findings.length === 0) && outcomes.length > 0 ? 0 : 1;
}

process.exit(await main());
