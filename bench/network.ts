/**
 * A verifier under load, as it is run: a `grail verifier` process on one side, real keys, rollouts, signatures and proofs
 * over HTTP and event sockets on the other. Windows are small (one slot of 16 steps, one proof of 8), so that the service is
 * measured and not playing or training; what is sent is made before it is timed, and proofs are kept in .cache/bench.
 *
 * - `growth`: a window of 10, 100, 1,000 and 10,000 miners. Each phase is sent as fast as it goes, the next window's
 *   commitments evenly. Networks of more than `--proven` miners are measured up to their openings.
 * - `memory`: what the verifier holds after each tenth of `--windows` windows of four miners.
 * - `checkers`: the window of `--proven` miners, replayed and its proofs checked by 1 and 2 processes (PostgreSQL and NATS).
 *
 *     npm run bench -- network
 *     npm run bench -- network --only growth --miners 1000 --profile FOLDER --json FILE
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { useNodeCrypto } from '../src/storage/node-crypto.ts';
import { checkersSection, printCheckers } from './network/checkers.ts';
import { growthSection, printGrowth } from './network/growth.ts';
import { memorySection, printMemory } from './network/memory.ts';

const SECTIONS = ['growth', 'memory', 'checkers'] as const;
const USAGE =
  'USAGE: npm run bench -- network [--only growth,memory,checkers] [--miners N,N] [--proven N] [--in-flight N] [--per-second N] [--sockets N] [--windows N] [--checkers N,N] [--profile FOLDER] [--json FILE]';

function usage(): never {
  console.error(USAGE);
  process.exit(2);
}

function flagsOf() {
  try {
    return parseArgs({
      options: {
        only: { type: 'string', default: SECTIONS.join(',') },
        miners: { type: 'string', default: '10,100,1000,10000' },
        proven: { type: 'string', default: '1000' },
        'in-flight': { type: 'string', default: '64' },
        'per-second': { type: 'string', default: '500' },
        sockets: { type: 'string', default: '1000' },
        windows: { type: 'string', default: '200' },
        checkers: { type: 'string', default: '1,2' },
        profile: { type: 'string' },
        json: { type: 'string' },
      },
    }).values;
  } catch {
    return usage();
  }
}

const flags = flagsOf();
const only = flags.only.split(',');
const miners = flags.miners.split(',').map(Number);
const processes = flags.checkers.split(',').map(Number);
const [proven, inFlight, perSecond, sockets, windows] = [
  flags.proven,
  flags['in-flight'],
  flags['per-second'],
  flags.sockets,
  flags.windows,
].map(Number) as [number, number, number, number, number];
if (
  ![...miners, ...processes, inFlight, perSecond, sockets, windows].every((value) => value > 0) ||
  !(proven >= 0)
)
  usage();
if (!only.every((name) => (SECTIONS as readonly string[]).includes(name))) usage();

useNodeCrypto();
// Servers and verifiers end with this process, when it ends in order.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
const progress = (line: string) => console.error(line);
const profile = flags.profile ?? null;
const growth = only.includes('growth')
  ? await growthSection({ miners, proven, inFlight, perSecond, sockets, profile, progress })
  : null;
const memory = only.includes('memory')
  ? await memorySection({ windows, miners: 4, profile, progress })
  : null;
const checkers = only.includes('checkers')
  ? await checkersSection({ checkers: processes, miners: proven, inFlight, progress })
  : null;
if (growth !== null) printGrowth(growth);
if (memory !== null) printMemory(memory);
if (checkers !== null) printCheckers(checkers, proven);
if (flags.json !== undefined) {
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? ''}`;
  writeFileSync(
    flags.json,
    `${JSON.stringify({ node: process.versions.node, machine, growth, memory, checkers }, null, 2)}\n`,
  );
}
