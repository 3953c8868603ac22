import type { ZodType } from 'zod';
import { z } from 'zod';
import type { TreeHead } from '../src/ledger/head.ts';
import type { Ledger } from '../src/ledger/log.ts';
import { addressSchema, hash32Schema } from '../src/params/genesis.ts';
import {
  consistencySchema,
  entriesSchema,
  genesisAnswerSchema,
  headAnswerSchema,
  healthSchema,
  inclusionSchema,
  indexedEntrySchema,
  readySchema,
  statusSchema,
} from '../src/protocol/api.ts';
import { toHex } from '../src/protocol/bytes.ts';
import type { Code } from '../src/protocol/codes.ts';
import { GrailError } from '../src/protocol/errors.ts';
import { type Message, messageSchema, parseMessage } from '../src/protocol/messages.ts';
import { type Acknowledgement, acknowledgementSchema, receiptSchema } from '../src/protocol/wire.ts';
import type { BlobStore } from '../src/storage/blobs.ts';
import { type GatewayLimits, PAGE_ENTRIES } from './limits.ts';
import type { LedgerMetrics } from './metrics/ledger.ts';
import { OPERATOR_ROUTES, type OperatorContext } from './operator-routes.ts';
import type { SequencerView } from './types.ts';

/** What routes answer from. */
export interface RouteContext extends OperatorContext {
  readonly sequencer: SequencerView;
  readonly blobs: BlobStore;
  readonly limits: GatewayLimits;
  readonly openapi: () => unknown;
  /** Takes a message to the sequencer, on behalf of the address that sent it. */
  readonly submit: (message: Message) => Promise<Acknowledgement>;
}

/** A success: a value to be sent as JSON, JSON text that is ready, bytes under the hash that names them, or metrics. */
export type Answer =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'text'; readonly json: string }
  | { readonly kind: 'blob'; readonly hash: string; readonly bytes: Uint8Array }
  | { readonly kind: 'metrics'; readonly text: string };

/** One route: how it is called, what it takes and gives, and what it does. The OpenAPI document is made from these. */
export interface Route<Context = RouteContext> {
  readonly method: 'get' | 'post';
  /** With express's `:name` for parameters. */
  readonly path: string;
  readonly summary: string;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  /** The component that the body must be. */
  readonly body?: string;
  /** The component that it answers, or `blob`, `openapi` or `metrics`. */
  readonly answer: string;
  /** Codes besides BAD_REQUEST, TOO_MANY_REQUESTS and INTERNAL. */
  readonly codes: readonly Code[];
  readonly handle: (context: Context, input: Input) => Answer | Promise<Answer>;
}

interface Input {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
}

/** Schemas of everything that is sent, by the name of their OpenAPI component. */
export const COMPONENTS: Readonly<Record<string, ZodType>> = {
  Genesis: genesisAnswerSchema,
  Status: statusSchema,
  TreeHead: headAnswerSchema,
  Entries: entriesSchema,
  IndexedEntry: indexedEntrySchema,
  InclusionProof: inclusionSchema,
  ConsistencyProof: consistencySchema,
  Message: messageSchema,
  Acknowledgement: acknowledgementSchema,
  Receipt: receiptSchema,
  Health: healthSchema,
  Ready: readySchema,
};

/** What an index or a size may be: `counterSchema` of the ledger. */
const counter = z
  .int()
  .min(0)
  .max(2 ** 40);

const indexParams = z.strictObject({ index: counter });
const pageQuery = z.strictObject({
  /** First entry wanted. */
  from: counter.default(0),
  /** Entries wanted at most. */
  limit: z.int().min(1).max(PAGE_ENTRIES).default(PAGE_ENTRIES),
});
const inclusionQuery = z.strictObject({
  index: counter,
  /** Size of the tree; the whole ledger when absent. */
  size: counter.optional(),
});
const consistencyQuery = z.strictObject({
  from: counter,
  /** Size of the later tree; the whole ledger when absent. */
  to: counter.optional(),
});
const blobParams = z.strictObject({ hash: hash32Schema });
const receiptParams = z.strictObject({ window: counter, miner: addressSchema });

const json = (value: unknown): Answer => ({ kind: 'json', value });

/** Joins a schema's type to a handler: the input was parsed with the route's own schemas before. */
const params = <S extends ZodType>(_: S, input: Input) => input.params as z.infer<S>;
const query = <S extends ZodType>(_: S, input: Input) => input.query as z.infer<S>;

export const ROUTES: readonly Route[] = [
  {
    method: 'get',
    path: '/v1/genesis',
    summary: 'The genesis document of the network',
    answer: 'Genesis',
    codes: [],
    handle: ({ sequencer }) => json(sequencer.state.genesis),
  },
  {
    method: 'get',
    path: '/v1/status',
    summary: 'A report of the present windows and the newest policy; nothing in it is signed',
    answer: 'Status',
    codes: [],
    handle: ({ sequencer }) => json(sequencer.status() satisfies z.input<typeof statusSchema>),
  },
  {
    method: 'get',
    path: '/v1/head',
    summary: 'The newest signed tree head',
    answer: 'TreeHead',
    codes: [],
    handle: async ({ sequencer }) => json((await sequencer.head()) satisfies TreeHead),
  },
  {
    method: 'get',
    path: '/v1/entries',
    summary: 'A page of ledger entries; none when `from` is the size of the ledger',
    query: pageQuery,
    answer: 'Entries',
    codes: ['NOT_FOUND', 'LEDGER_CORRUPT'],
    handle: ({ sequencer, limits }, input) => page(sequencer.ledger, query(pageQuery, input), limits),
  },
  {
    method: 'get',
    path: '/v1/entries/:index',
    summary: 'One ledger entry with its leaf hash',
    params: indexParams,
    answer: 'IndexedEntry',
    codes: ['NOT_FOUND', 'LEDGER_CORRUPT'],
    handle: ({ sequencer }, input) => {
      const { index, bytes, leaf } = sequencer.ledger.read(params(indexParams, input).index);
      const entry = new TextDecoder().decode(bytes);
      return { kind: 'text', json: `{"index":${index},"leaf":"${toHex(leaf)}","entry":${entry}}` };
    },
  },
  {
    method: 'get',
    path: '/v1/proofs/inclusion',
    summary: 'The RFC 6962 audit path of an entry in the tree of a size',
    query: inclusionQuery,
    answer: 'InclusionProof',
    codes: ['NOT_FOUND'],
    handle: ({ sequencer: { ledger } }, input) => {
      const { index, size = ledger.size } = query(inclusionQuery, input);
      checkSize(ledger, size);
      if (index >= size) {
        throw new GrailError('NOT_FOUND', `a tree of ${size} entries has no entry ${index}`, { index, size });
      }
      return json({
        index,
        size,
        leaf: toHex(ledger.leaf(index)),
        root: toHex(ledger.root(size)),
        proof: ledger.inclusionProof(index, size).map(toHex),
      });
    },
  },
  {
    method: 'get',
    path: '/v1/proofs/consistency',
    summary: 'The RFC 6962 proof that the ledger of one size is a prefix of that of a later one',
    query: consistencyQuery,
    answer: 'ConsistencyProof',
    codes: ['NOT_FOUND'],
    handle: ({ sequencer: { ledger } }, input) => {
      const { from, to = ledger.size } = query(consistencyQuery, input);
      checkSize(ledger, to);
      if (from > to) throw new GrailError('BAD_REQUEST', 'from is larger than to', { from, to });
      return json({
        from,
        to,
        fromRoot: toHex(ledger.root(from)),
        toRoot: toHex(ledger.root(to)),
        proof: ledger.consistencyProof(from, to).map(toHex),
      });
    },
  },
  {
    method: 'get',
    path: '/v1/blobs/:hash',
    summary: 'A blob (a PULSE patch or an anchor) by the SHA-256 that names it',
    params: blobParams,
    answer: 'blob',
    codes: ['BLOB_MISSING', 'BLOB_CORRUPT'],
    handle: async ({ blobs }, input) => {
      const { hash } = params(blobParams, input);
      return { kind: 'blob', hash, bytes: await blobs.get(hash) };
    },
  },
  {
    method: 'post',
    path: '/v1/messages',
    summary: 'Takes a signed message of a miner into the ledger, or says which rule it breaks',
    body: 'Message',
    answer: 'Acknowledgement',
    codes: [
      'TOO_LARGE',
      'TIMEOUT',
      'BAD_SIGNATURE',
      'NOT_REGISTERED',
      'NOT_YET_ELIGIBLE',
      'NOT_ENROLLED',
      'COOLING_DOWN',
      'SLOTS_INVALID',
      'PHASE_NOT_OPEN',
      'PHASE_CLOSED',
      'EQUIVOCATION',
      'POLICY_ROOT_MISMATCH',
      'COMMIT_SHAPE',
      'COMMIT_MISSING',
      'OPENING_SHAPE',
      'OPENING_MISSING',
      'INT8_RANGE',
      'PROOF_ENCODING',
      'STOPPED',
    ],
    // Shape first: garbage reaches neither the rules nor anyone's log.
    handle: async ({ submit, metrics }, { body }) => {
      const message = readable(body, metrics.ledger);
      return json(await metrics.ledger.message(message.type, () => submit(message)));
    },
  },
  {
    method: 'get',
    path: '/v1/receipts/:window/:miner',
    summary: 'What the verdict of a window gave a miner, signed',
    params: receiptParams,
    answer: 'Receipt',
    codes: ['NOT_FOUND'],
    handle: async ({ sequencer }, input) => {
      const { window, miner } = params(receiptParams, input);
      return json(await sequencer.receipt(window, miner));
    },
  },
  {
    method: 'get',
    path: '/openapi.json',
    summary: 'This document',
    answer: 'openapi',
    codes: [],
    handle: ({ openapi }) => json(openapi()),
  },
  ...OPERATOR_ROUTES,
];

/** @throws GrailError BAD_REQUEST, which is counted */
function readable(body: unknown, metrics: LedgerMetrics): Message {
  try {
    return parseMessage(body);
  } catch (error) {
    metrics.unreadable(error);
    throw error;
  }
}

function checkSize(ledger: Ledger, size: number): void {
  if (size <= ledger.size) return;
  throw new GrailError('NOT_FOUND', `the ledger has ${ledger.size} entries, not ${size}`, {
    size,
    treeSize: ledger.size,
  });
}

/** A page in the entries' own canonical bytes. One read an entry: a page of the largest would not fit in memory. */
function page(ledger: Ledger, wanted: { from: number; limit: number }, limits: GatewayLimits): Answer {
  const { from } = wanted;
  const { size } = ledger;
  checkSize(ledger, from);
  const end = Math.min(size, from + wanted.limit);
  const decoder = new TextDecoder();
  const entries: string[] = [];
  let bytes = 0;
  for (let index = from; index < end; index++) {
    const read = ledger.read(index);
    bytes += read.bytes.length;
    if (entries.length > 0 && bytes > limits.pageBytes) break;
    entries.push(decoder.decode(read.bytes));
  }
  return { kind: 'text', json: `{"from":${from},"size":${size},"entries":[${entries.join(',')}]}` };
}
