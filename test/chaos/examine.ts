import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkReceipt } from '../../rollouts/receipt.ts';
import type { LedgerEntry } from '../../src/ledger/entry.ts';
import { openLedgerReadOnly } from '../../src/ledger/log.ts';
import type { Hex } from '../../src/protocol/bytes.ts';
import { canonicalText } from '../../src/protocol/canonical.ts';
import { CODES, type Code } from '../../src/protocol/codes.ts';
import { receiptSchema } from '../../src/protocol/wire.ts';
import type { VerdictBody } from '../../src/replica/bodies.ts';
import { grail } from '../helpers/grail-process.ts';
import { entriesOf, verdictsOf } from '../helpers/live-network.ts';
import type { End, Network } from './network.ts';

/** What a network that was disturbed must still fulfil. */
export const RULES = {
  acknowledged: 'what was acknowledged stands in the ledger, at its index',
  shown: 'what was shown or signed stands in the ledger, and heads only grow',
  miners: 'no miner is rejected, refused for good or left out',
  ends: 'a process that ends by itself says why with a code',
  audit: '`grail audit` passes, and no blob is unreferenced',
  litter: 'nothing half-written is left',
  policies: 'policies are those of an undisturbed run of the same seed',
  says: 'a verifier that cannot store says so: in its log, at /readyz, to whoever posts',
  alive: 'the network goes on',
} as const;
export type Rule = keyof typeof RULES;

/** A rule that does not hold, and where. */
export interface Finding {
  readonly rule: Rule;
  readonly what: string;
}

/** What was counted. */
export type Figures = Readonly<Record<string, number>>;

export interface Examined {
  readonly findings: readonly Finding[];
  readonly figures: Figures;
  /** Roots of the policies, by window. */
  readonly policies: readonly string[];
}

/** The code that a process gave for its end, or null. */
export function codeOf({ last }: End): Code | null {
  const words = last.flatMap((line) => line.match(/[A-Z][A-Z_]+/g) ?? []);
  return words.findLast((word): word is Code => Object.hasOwn(CODES, word)) ?? null;
}

const TYPES = { committed: 'commit', opened: 'opening', proved: 'proof' } as const;

/** Examines a network that was halted. */
export async function examine(network: Network): Promise<Examined> {
  const folder = join(network.folder, 'final');
  await network.side.copyOut(folder);
  const entries = entriesOf(folder);
  const verdicts = verdictsOf(entries);
  const findings: Finding[] = [];
  const find = (rule: Rule) => (what: string) => void findings.push({ rule, what });
  const acknowledgements = checkTold(network, entries, find('acknowledged'));
  const receipts = checkReceipts(network, entries, find('acknowledged'));
  const ledger = openLedgerReadOnly(join(folder, 'ledger.sqlite'));
  try {
    network.witness.compare(ledger).forEach(find('shown'));
  } finally {
    ledger.close();
  }
  checkMiners(network, verdicts, find('miners'));
  for (const end of network.ends)
    if (codeOf(end) === null) find('ends')(`${end.name} ended (${end.reason}) without a code`);
  const audited = await grail(['audit', folder, '--json']);
  const report = audited.out.length === 1 ? JSON.parse(audited.out[0]!) : null;
  if (audited.code !== 0) find('audit')(JSON.stringify(report?.divergence ?? audited.err.slice(-500)));
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (/^blobs\.tmp.|\.new$/.test(name)) find('litter')(name);
  }
  return {
    findings,
    figures: {
      windows: verdicts.length,
      entries: entries.length,
      acknowledgements,
      receipts,
      heads: network.witness.heads,
      endsByItself: network.ends.length,
    },
    policies: verdicts.map(({ update }) => `${update.policyRoot} ${update.trainerStateRoot}`),
  };
}

/** Holds what miners told of acknowledgements against the ledger; gives how many there were. */
function checkTold(network: Network, entries: readonly LedgerEntry[], find: (what: string) => void): number {
  const place = (miner: Hex, window: unknown, type: string) => `${type} ${miner} ${window}`;
  const places = new Set(
    entries.flatMap(({ author, window, body }) =>
      author === null ? [] : [place(author, window, body.type)],
    ),
  );
  let count = 0;
  for (const { miner, event, window, index } of network.told) {
    if (event === 'enrolled') {
      count++;
      if (!places.has(place(miner, window, 'enrol')))
        find(`enrolment of ${miner} in window ${window} is lost`);
    } else if (Object.hasOwn(TYPES, event)) {
      count++;
      const type = TYPES[event as keyof typeof TYPES];
      const entry = entries[Number(index)];
      const stands = entry?.author === miner && entry.window === window && entry.body.type === type;
      if (!stands)
        find(
          `${type} of ${miner} in window ${window} was promised entry ${index}: ${JSON.stringify(entry)?.slice(0, 200)}`,
        );
    }
  }
  return count;
}

/** Holds every receipt that a miner kept against the verdict that it names; gives how many there are. */
function checkReceipts(
  network: Network,
  entries: readonly LedgerEntry[],
  find: (what: string) => void,
): number {
  const { genesis, genesisHash } = network.devnet;
  const signed = { genesis, domain: { chainId: genesis.chainId, genesisHash } };
  const root = join(network.folder, 'receipts');
  if (!existsSync(root)) return 0;
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\d+-0x\w+\.json$/.test(name),
  );
  for (const file of files) {
    const receipt = receiptSchema.parse(JSON.parse(readFileSync(join(root, file), 'utf8')));
    checkReceipt(signed, receipt);
    const body = entries[receipt.index]?.body as VerdictBody | undefined;
    const result = body?.results?.find(({ miner }) => miner === receipt.miner);
    if (result === undefined || canonicalText(result) !== canonicalText(receipt.result)) {
      find(`the receipt ${file} is not what entry ${receipt.index} says`);
    }
  }
  return files.length;
}

/** Nobody did anything wrong, so nobody may be told so, and everybody takes part in every window. */
function checkMiners(network: Network, verdicts: readonly VerdictBody[], find: (what: string) => void): void {
  for (const { window, results } of verdicts) {
    for (const miner of network.addresses) {
      const result = results.find((one) => one.miner === miner);
      if (result === undefined) find(`${miner} is not in window ${window}`);
      else if (result.rejection !== null)
        find(`${miner} is rejected in window ${window}: ${result.rejection.code}`);
      else if (!result.trained) find(`${miner} is not trained on in window ${window}`);
    }
  }
  for (const { miner, event, ...told } of network.told) {
    const given = event === 'failed' && told.retryMs === null;
    if (event === 'rejected' || event === 'foreign' || given)
      find(`${miner} told ${JSON.stringify({ event, ...told })}`);
  }
  for (const { line } of network.lines(/closes without/)) find(line);
  for (const end of network.ends) {
    // One that is started while no gateway listens says so and ends; whoever supervises it starts it again.
    if (end.name.startsWith('miner') && codeOf(end) !== 'UNREACHABLE')
      find(`${end.name} ended: ${end.reason}`);
  }
}
