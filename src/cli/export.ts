import { z } from 'zod';
import { exportTables, FORMATS } from '../export/export.ts';
import { STEPS, TABLES } from '../export/tables.ts';
import { replayLedger } from '../export/visit.ts';
import { toHex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { useNodeCrypto } from '../storage/node-crypto.ts';
import { type CommandContext, defineCommand } from './command.ts';
import { exportBundle } from './export-bundle.ts';
import { jsonFlag, keyFileFlag } from './flags.ts';
import { type BundleSource, maxMibFlag, type NetworkSource, openSource, sourcePositional } from './source.ts';

const CHOSEN = TABLES.filter((table) => table !== STEPS);
const names = CHOSEN.map(({ name }) => name);

const positionals = z.strictObject({ source: sourcePositional });
const flags = z.strictObject({
  out: z
    .string()
    .min(1)
    .meta({ short: 'o' })
    .describe('the folder for the tables, or with --bundle the file'),
  format: z
    .string()
    .default('parquet')
    .describe(`formats, with commas between: ${FORMATS.join(', ')}`),
  tables: z.string().default(names.join(',')).describe('tables, with commas between'),
  steps: z.boolean().default(false).describe('the table steps as well: every observation, action and reward'),
  bundle: z
    .int()
    .min(0)
    .optional()
    .describe('write one file instead, with which anybody can judge this window again offline'),
  key: keyFileFlag,
  maxMib: maxMibFlag,
  json: jsonFlag,
});
type Context = CommandContext<z.output<typeof positionals>, z.output<typeof flags>>;

export const command = defineCommand({
  name: 'export',
  summary: 'Writes a network as tables (Parquet, CSV, JSON lines, TensorBoard), or a window as a bundle',
  notes:
    'The tables and their columns are in docs/guides/researchers.md. The same ledger gives the same files. Nothing is\n' +
    'judged again: `grail audit` does that.',
  positionals,
  flags,
  async run(context) {
    useNodeCrypto();
    const { positionals, flags, signal, err } = context;
    const source = await openSource(positionals.source, {
      ...flags,
      withBlobs: flags.bundle !== undefined,
      err,
      signal,
    });
    try {
      return flags.bundle === undefined
        ? await tables(context, source)
        : await bundle(context, source, flags.bundle);
    } finally {
      source.close();
    }
  },
});

async function tables({ flags, signal, out, err }: Context, source: NetworkSource | BundleSource) {
  const formats = chosen('--format', flags.format, FORMATS);
  const wanted = chosen('--tables', flags.tables, names);
  const replay = source.kind === 'bundle' ? source.bundled : replayLedger(source.ledger, source.genesis);
  const summary = await exportTables({
    replay,
    tables: TABLES.filter((table) => (table === STEPS ? flags.steps : wanted.includes(table.name))),
    formats,
    folder: flags.out,
    onProgress: ({ window, applied, entries }) => err(`window ${window}: ${applied} of ${entries} entries`),
    signal,
  });
  const { insecureDev } = source.kind === 'bundle' ? source.bundled.genesis : source.genesis;
  const genesisHash = toHex(replay.state.genesisHash);
  if (flags.json) out(JSON.stringify({ genesisHash, insecureDev, folder: flags.out, ...summary }));
  else {
    out(`network   ${genesisHash}${insecureDev ? '  (insecure-dev)' : ''}`);
    out(`verdicts  ${summary.windows}`);
    for (const [name, rows] of Object.entries(summary.rows)) out(`${name.padEnd(8)}  ${rows} rows`);
    out(`files     ${summary.files.join(', ')}`);
  }
  return 0;
}

async function bundle(context: Context, source: NetworkSource | BundleSource, window: number) {
  const { flags, signal, out, err } = context;
  if (source.kind === 'bundle') {
    throw new GrailError(
      'USAGE',
      '--bundle needs a network’s folder or a verifier: this is a bundle already',
    );
  }
  const summary = await exportBundle({ source, window, file: flags.out, keyFile: flags.key, err, signal });
  if (flags.json) out(JSON.stringify({ file: flags.out, ...summary }));
  else {
    out(`${flags.out}: window ${window}, ${summary.bytes} bytes`);
    out(`entries      ${summary.entries}`);
    out(`blobs        ${summary.blobs}`);
    out(`signed head  ${summary.treeSize} entries, root ${summary.treeRoot}`);
    out(`check it     npx grail audit ${flags.out}`);
  }
  return 0;
}

/** A list with commas, of what there is to choose from. @throws GrailError USAGE */
function chosen<T extends string>(flag: string, text: string, known: readonly T[]): T[] {
  const list = [...new Set(text.split(',').map((name) => name.trim()))];
  const wrong = list.find((name) => !known.some((one) => one === name));
  if (wrong !== undefined) {
    throw new GrailError('USAGE', `${flag} takes ${known.join(', ')}, with commas between, not '${wrong}'`, {
      flag,
    });
  }
  return list as T[];
}
