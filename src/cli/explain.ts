import { createReadStream, existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { VerifierClient } from '../../rollouts/client.ts';
import { checkInLedger } from '../../rollouts/inclusion.ts';
import { checkReceipt, type Network } from '../../rollouts/receipt.ts';
import { genesisHash, parseGenesis } from '../params/genesis.ts';
import { type Hex, toHex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { type Receipt, receiptSchema } from '../protocol/wire.ts';
import { resultSchema } from '../replica/bodies.ts';
import { useNodeCrypto } from '../storage/node-crypto.ts';
import { defineCommand } from './command.ts';
import { explainChecks, explainResult } from './explain-text.ts';
import { jsonFlag } from './flags.ts';
import { GENESIS_FILE } from './miner-receipts.ts';
import { printable, wrap } from './text.ts';

/** A receipt is a kilobyte; a genesis document of the most miners and verifiers has 4 MB. */
const MAX_FILE_BYTES = 8_388_608;
const WIDTH = 100;

/** The end of a receipt's address. */
const RECEIPT_PATH = /\/v1\/receipts\/(\d{1,13})\/(0x[0-9a-f]{40})$/;

export const command = defineCommand({
  name: 'explain',
  summary: 'Explains a receipt, and checks it',
  notes: [
    'grail explain receipts/0x…/7-0x….json',
    'grail explain http://127.0.0.1:7420/v1/receipts/7/0x…',
    '',
    'A receipt is checked against the genesis of its network: that of --genesis or --verifier, that of the URL, or the file',
    `${GENESIS_FILE} beside it, which grail miner --receipts writes. With a verifier it is compared with the ledger as well.`,
    'Exit code 0 when the receipt is true, whatever it says; 1 when it is not.',
  ].join('\n'),
  positionals: z.strictObject({
    receipt: z.string().min(1).describe('a receipt: a JSON file, - for stdin, or its URL'),
  }),
  flags: z.strictObject({
    verifier: z.string().min(1).optional().describe('the verifier whose ledger must say the same'),
    genesis: z.string().min(1).optional().describe('the network’s genesis document, a JSON file'),
    json: jsonFlag,
  }),
  async run({ positionals, flags, signal, out }) {
    useNodeCrypto();
    const address = receiptAddress(positionals.receipt);
    const kept = address === null ? parseReceipt(await readJson(positionals.receipt)) : null;
    const genesisFile = flags.genesis ?? genesisBeside(positionals.receipt);
    const stated = genesisFile === undefined ? null : networkOf(await readJson(genesisFile));
    const client = await connect(flags.verifier ?? address?.base, stated, signal);
    const network: Network | null = client ?? stated;
    if (network === null) {
      throw new GrailError(
        'USAGE',
        'a receipt is checked against the genesis of its network: give --verifier URL or --genesis FILE',
      );
    }
    const receipt = kept ?? (await client!.receipt(address!.window, address!.miner, { signal }));
    checkReceipt(network, receipt);
    const result = resultOf(receipt);
    const inclusion = client === null ? null : await checkInLedger(client, receipt, signal);
    const explained = { genesis: network.genesis, domain: network.domain, receipt, result, inclusion };
    const sentences = explainResult(explained);
    if (flags.json) {
      const ledger = inclusion === null ? null : { index: receipt.index, head: inclusion.head };
      const hash = toHex(network.domain.genesisHash);
      out(JSON.stringify({ valid: true, network: hash, receipt, ledger, explanation: sentences }));
      return 0;
    }
    for (const sentence of sentences) for (const line of wrap(printable(sentence), WIDTH)) out(line);
    out('');
    for (const line of explainChecks(explained)) out(printable(line));
    return 0;
  },
});

/** @param stated the network that it must be; any when null */
async function connect(
  url: string | undefined,
  stated: Network | null,
  signal: AbortSignal,
): Promise<VerifierClient | null> {
  if (url === undefined) return null;
  const expected = stated && toHex(stated.domain.genesisHash);
  return VerifierClient.connect({ url, signal, ...(expected && { expectedGenesis: expected }) });
}

/** The verifier, window and miner of a receipt's URL; null for what is no URL. */
function receiptAddress(text: string): { base: string; window: number; miner: Hex } | null {
  if (!/^https?:\/\//.test(text)) return null;
  const url = URL.canParse(text) ? new URL(text) : null;
  const found = url === null ? null : RECEIPT_PATH.exec(url.pathname);
  if (url === null || found === null) {
    throw new GrailError('USAGE', `a receipt's URL ends in /v1/receipts/WINDOW/MINER, unlike '${text}'`);
  }
  url.pathname = url.pathname.slice(0, found.index);
  return { base: url.href, window: Number(found[1]), miner: found[2] as Hex };
}

function genesisBeside(receipt: string): string | undefined {
  const file = join(dirname(receipt), GENESIS_FILE);
  return receipt !== '-' && existsSync(file) ? file : undefined;
}

/** @throws GrailError GENESIS_INVALID */
function networkOf(document: unknown): Network {
  const genesis = parseGenesis(document);
  return { genesis, domain: { chainId: genesis.chainId, genesisHash: genesisHash(genesis) } };
}

/** @throws GrailError BAD_REQUEST naming the first field that is wrong */
function parseReceipt(value: unknown): Receipt {
  const parsed = receiptSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new GrailError(
    'BAD_REQUEST',
    `this is no receipt: ${issue.path.join('.') || 'document'}: ${issue.message}`,
  );
}

function resultOf({ result }: Receipt) {
  const parsed = resultSchema.safeParse(result);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const message = `the receipt is signed, but its result is none of this protocol: ${issue.path.join('.')}: ${issue.message}`;
  throw new GrailError('BAD_REQUEST', message);
}

/** @throws GrailError NOT_FOUND, TOO_LARGE, BAD_REQUEST */
async function readJson(file: string): Promise<unknown> {
  const name = file === '-' ? 'stdin' : file;
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of file === '-' ? process.stdin : createReadStream(file)) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > MAX_FILE_BYTES) break;
    }
  } catch (error) {
    throw new GrailError('NOT_FOUND', `${name} cannot be read: ${(error as Error).message}`, { file });
  }
  if (length > MAX_FILE_BYTES) {
    throw new GrailError(
      'TOO_LARGE',
      `${name} has more than ${MAX_FILE_BYTES} bytes: it is no such document`,
    );
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)));
  } catch {
    throw new GrailError('BAD_REQUEST', `${name} is not JSON`, { file });
  }
}
