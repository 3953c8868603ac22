import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { packageRoot } from '../../src/storage/package-root.ts';
import { RULES } from './examine.ts';
import type { Outcome } from './outcome.ts';

/** Kills from which on a run of them is worth a line in the document. */
const FULL_MOMENTS = 200;

/** An outcome with what it was run with. */
interface Kept extends Outcome {
  readonly seed: number;
  readonly commit: string;
}

const words = (counts: Readonly<Record<string, number>>) =>
  Object.entries(counts)
    .map(([what, count]) => `${what} ${count}`)
    .join(', ');

const total = (outcome: Outcome) =>
  Object.values(outcome.disturbances).reduce((sum, count) => sum + count, 0);

/** Outcomes for a terminal. */
export function table(outcomes: readonly Outcome[]): string {
  return outcomes
    .map((outcome) => {
      const { part, seconds, figures, findings, observed, disturbances } = outcome;
      return [
        `${part}: ${findings.length === 0 ? 'everything held' : `${findings.length} findings`}, ${total(outcome)} moments in ${seconds} s`,
        `  disturbed: ${words(disturbances)}`,
        `  counted: ${words(figures)}`,
        ...observed.map((sentence) => `  ${sentence}`),
        ...findings.map(({ rule, what }) => `  NOT SO: ${RULES[rule]}: ${what}`),
        '',
      ].join('\n');
    })
    .join('\n');
}

/** Keeps the outcomes of a full run in docs/CHAOS.md, beside those of other parts. */
export function keepResults(
  outcomes: readonly Outcome[],
  { seed, moments }: { seed: number; moments: number },
): void {
  const statePath = join(packageRoot(), '.cache', 'chaos.json');
  const kept = new Map(readKept(statePath).map((one) => [one.part, one]));
  for (const outcome of outcomes) {
    if (outcome.part.startsWith('kills') && moments < FULL_MOMENTS) continue;
    kept.set(outcome.part, { ...outcome, seed, commit: commit() });
  }
  if (kept.size === 0) return;
  mkdirSync(dirname(statePath), { recursive: true });
  writeFileSync(statePath, JSON.stringify([...kept.values()], null, 1));
  writeFileSync(join(packageRoot(), 'docs', 'CHAOS.md'), document([...kept.values()]));
}

function readKept(path: string): Kept[] {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return [];
  }
}

function commit(): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: packageRoot(), encoding: 'utf8' }).trim();
  const changed = git('status', '--porcelain') !== '';
  return `${git('rev-parse', '--short=12', 'HEAD')}${changed ? ' with local changes' : ''}`;
}

function document(kept: readonly Kept[]): string {
  const rows = kept.map((one) => {
    const { windows = 0, entries = 0, acknowledgements = 0, receipts = 0, endsByItself = 0 } = one.figures;
    const held = one.findings.length === 0 ? 'yes' : `no: ${one.findings.length}`;
    return `| ${one.part} | ${total(one)} | ${windows} | ${entries} | ${acknowledgements} | ${receipts} | ${endsByItself} | ${held} | ${one.seconds} |`;
  });
  const details = kept.map((one) => {
    const lines = [
      `## ${one.part.charAt(0).toUpperCase()}${one.part.slice(1)}`,
      `Commit ${one.commit}, seed ${one.seed}. Disturbed: ${words(one.disturbances)}.`,
      ...one.observed.map((sentence) => `- ${sentence}`),
      ...one.findings.map(({ rule, what }) => `- **Not so**: ${RULES[rule]}: ${what}`),
    ];
    return lines.join('\n');
  });
  return `# Disturbed on purpose

Written by \`npm run chaos\`: a network with three miners whose processes are killed at moments that a seed chooses, and
whose disk, database, bus and clock fail. A witness outside keeps what it was shown. In the end it must hold that

${Object.values(RULES)
  .map((rule) => `- ${rule}`)
  .join('\n')}

| part | disturbances | windows | entries | acknowledgements | receipts | ended by itself | all held | seconds |
|---|---|---|---|---|---|---|---|---|
${rows.join('\n')}

${details.join('\n\n')}

## What it does not show

- Processes are killed, not machines: what the operating system holds outlives them. PostgreSQL runs without fsync here, so
  power cuts are not covered.
- A clock is libfaketime's: the wall clock of one process jumps, its monotonic clock does not, as with a time server.
- Time of phases starts anew with the process that writes and whenever the storage takes nothing, so a network whose
  writer ends more often than \`--phase-timeout\` waits longer for a miner that is gone.
- Acknowledgements are those that miners report; one whose answer the kill cut off is nobody's, and its message is posted again.
- A miner that is started while no gateway listens ends with UNREACHABLE, and a process of the verifier that is started
  while its database is away with STORAGE_UNAVAILABLE: here, as by a service manager, each is started again a second later.
`;
}
