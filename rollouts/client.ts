import { type ZodType, z } from 'zod';
import { type Genesis, genesisHash, parseGenesis } from '../src/params/genesis.ts';
import { type Hex, toHex } from '../src/protocol/bytes.ts';
import { canonicalBytes } from '../src/protocol/canonical.ts';
import { CODES, type Code } from '../src/protocol/codes.ts';
import { GrailError } from '../src/protocol/errors.ts';
import { sha256 } from '../src/protocol/hash.ts';
import { recover } from '../src/protocol/identity.ts';
import {
  attestationDigest,
  type Message,
  type MessageType,
  messageDigest,
  type SigningDomain,
} from '../src/protocol/messages.ts';
import type { Phase } from '../src/protocol/phases.ts';
import {
  type Acknowledgement,
  acknowledgementSchema,
  errorSchema,
  type Receipt,
  receiptSchema,
} from '../src/protocol/wire.ts';

/** How long one request may take: a proof is small, and a verifier answers before it replays anything. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Largest reply that is read: an anchor of the largest policy, with room. */
const MAX_REPLY_BYTES = 256 * 1024 * 1024;

/** What a miner reads of a verifier's status; the rest is for people. */
const statusSchema = z.looseObject({ finished: z.boolean() });

export interface ClientOptions {
  /** The verifier's address, for example http://127.0.0.1:7420. */
  readonly url: string;
  /** Genesis hash of the network that is wanted; any when absent. */
  readonly expectedGenesis?: Hex;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

type Call = { readonly signal?: AbortSignal | undefined };

/**
 * A verifier's HTTP interface, for one network. Nothing of a reply is believed that can be checked: genesis by its hash,
 * blobs by theirs, acknowledgements and receipts by the signature of a verifier that genesis lists.
 *
 * @example
 * const client = await VerifierClient.connect({ url: 'http://127.0.0.1:7420' });
 * const acknowledgement = await client.post(signMessage(client.domain, identity, { type: 'register', miner }));
 */
export class VerifierClient {
  readonly url: URL;
  readonly genesis: Genesis;
  /** 32 bytes. */
  readonly genesisHash: Uint8Array;
  readonly domain: SigningDomain;
  readonly #timeoutMs: number;

  private constructor(url: URL, genesis: Genesis, timeoutMs: number) {
    this.url = url;
    this.genesis = genesis;
    this.genesisHash = genesisHash(genesis);
    this.domain = { chainId: genesis.chainId, genesisHash: this.genesisHash };
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Fetches the network's genesis.
   * @throws GrailError USAGE, UNREACHABLE, STOPPED, GENESIS_INVALID, or GENESIS_MISMATCH when it is not the wanted one
   */
  static async connect(options: ClientOptions): Promise<VerifierClient> {
    const url = parseUrl(options.url);
    const timeoutMs = options.timeoutMs ?? REQUEST_TIMEOUT_MS;
    const document = await request(url, 'v1/genesis', { signal: options.signal, timeoutMs });
    const client = new VerifierClient(url, parseGenesis(json(document)), timeoutMs);
    const hash = toHex(client.genesisHash);
    if (options.expectedGenesis !== undefined && options.expectedGenesis !== hash) {
      throw new GrailError('GENESIS_MISMATCH', `the verifier at ${url.href} runs another network`, {
        expected: options.expectedGenesis,
        got: hash,
      });
    }
    return client;
  }

  /**
   * Posts a signed message and checks the acknowledgement.
   * @throws GrailError the code of the verifier's refusal; UNREACHABLE, STOPPED; BAD_SIGNATURE for a false promise
   */
  async post(message: Message, { signal }: Call = {}): Promise<Acknowledgement> {
    const body = JSON.stringify(message);
    const reply = await request(this.url, 'v1/messages', { signal, timeoutMs: this.#timeoutMs, body });
    const acknowledgement = parseReply(acknowledgementSchema, json(reply));
    const { verifier, signature, ...promise } = acknowledgement;
    if (promise.messageHash !== toHex(messageDigest(this.domain, message))) {
      throw new GrailError('BAD_SIGNATURE', 'the verifier acknowledged another message', {
        got: promise.messageHash,
      });
    }
    // A promise of another place is no proof of fault when this one is not kept.
    const wrong =
      promise.view !== 0 ||
      promise.index >= promise.treeSize ||
      promise.phase !== phaseOf(message.type) ||
      ('window' in message && promise.window !== message.window);
    if (wrong) {
      throw new GrailError(
        'BAD_SIGNATURE',
        'the acknowledgement promises a place where the message cannot be',
        {
          got: promise,
        },
      );
    }
    this.#checkAttestation('acknowledgement', promise, verifier, signature);
    return acknowledgement;
  }

  /**
   * A blob, by the hash that names it.
   * @throws GrailError BLOB_MISSING, BLOB_CORRUPT, UNREACHABLE, STOPPED
   */
  async blob(hash: Hex, { signal }: Call = {}): Promise<Uint8Array> {
    let bytes: Uint8Array;
    try {
      bytes = await request(this.url, `v1/blobs/${hash}`, { signal, timeoutMs: this.#timeoutMs });
    } catch (error) {
      if (!(error instanceof GrailError) || error.code !== 'NOT_FOUND') throw error;
      throw new GrailError('BLOB_MISSING', 'the verifier does not have the blob', { hash }, { cause: error });
    }
    const got = toHex(sha256(bytes));
    if (got !== hash) {
      throw new GrailError('BLOB_CORRUPT', 'the verifier sent other bytes than the hash names', {
        expected: hash,
        got,
      });
    }
    return bytes;
  }

  /**
   * What a window's verdict gave a miner, signed.
   * @throws GrailError NOT_FOUND before the verdict; BAD_SIGNATURE when it is not a verifier's, or of something else
   */
  async receipt(window: number, miner: Hex, { signal }: Call = {}): Promise<Receipt> {
    const path = `v1/receipts/${window}/${miner}`;
    const receipt = parseReply(
      receiptSchema,
      json(await request(this.url, path, { signal, timeoutMs: this.#timeoutMs })),
    );
    const { verifier, signature, result, ...value } = receipt;
    const resultHash = toHex(sha256(canonicalBytes(result)));
    const wrong =
      value.window !== window ||
      value.miner !== miner ||
      value.resultHash !== resultHash ||
      value.credit !== result.credit ||
      value.slots !== result.slots ||
      value.insecureDev !== this.genesis.insecureDev;
    if (wrong)
      throw new GrailError('BAD_SIGNATURE', 'the receipt contradicts itself or is of something else', {
        window,
      });
    this.#checkAttestation('receipt', value, verifier, signature);
    return receipt;
  }

  /**
   * Whether the run that the verifier was started for is over: nothing more is accepted, ever.
   * @throws GrailError UNREACHABLE, STOPPED
   */
  async finished({ signal }: Call = {}): Promise<boolean> {
    const reply = await request(this.url, 'v1/status', { signal, timeoutMs: this.#timeoutMs });
    return parseReply(statusSchema, json(reply)).finished;
  }

  #checkAttestation(
    type: 'acknowledgement' | 'receipt',
    value: Record<string, unknown>,
    verifier: Hex,
    signature: Hex,
  ): void {
    const known = this.genesis.verifiers.some(({ address }) => address === verifier);
    const signer = recover(attestationDigest(this.domain, type, value), signature);
    if (known && signer === verifier) return;
    throw new GrailError('BAD_SIGNATURE', `the ${type} is not signed by a verifier of this network`, {
      expected: this.genesis.verifiers.map(({ address }) => address),
      got: signer,
    });
  }
}

/** The phase whose entries a message is among. */
function phaseOf(type: MessageType): Phase {
  if (type === 'register') return 'enrol';
  return type === 'proof' ? 'prove' : type;
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new GrailError('USAGE', `the verifier's address must be an http or https URL, not '${text}'`);
  }
  url.search = '';
  url.hash = '';
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

async function request(
  base: URL,
  path: string,
  options: { readonly signal: AbortSignal | undefined; readonly timeoutMs: number; readonly body?: string },
): Promise<Uint8Array> {
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const signal = options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal]);
  let response: Response;
  let bytes: Uint8Array;
  try {
    response = await fetch(new URL(path, base), {
      signal,
      ...(options.body === undefined
        ? {}
        : { method: 'POST', headers: { 'content-type': 'application/json' }, body: options.body }),
    });
    bytes = await readAll(response);
  } catch (error) {
    if (error instanceof GrailError) throw error;
    if (options.signal?.aborted)
      throw new GrailError('STOPPED', 'the request was given up', {}, { cause: error });
    const why = timeout.aborted ? `did not answer within ${options.timeoutMs} ms` : 'cannot be reached';
    throw new GrailError('UNREACHABLE', `the verifier at ${base.href} ${why}`, { path }, { cause: error });
  }
  if (response.ok) return bytes;
  throw refusal(base, path, response.status, bytes);
}

async function readAll(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MAX_REPLY_BYTES) throw new GrailError('TOO_LARGE', 'the reply of the verifier is too large');
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

/** The error that a reply carries, with its own code; INTERNAL or UNREACHABLE for one that carries none. */
function refusal(base: URL, path: string, status: number, bytes: Uint8Array): GrailError {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    value = null;
  }
  const parsed = errorSchema.safeParse((value as { error?: unknown } | null)?.error);
  if (parsed.success) return remoteError(parsed.data);
  // A proxy in front of a verifier that is down answers 502 to 504 in its own words.
  if (status >= 502)
    return new GrailError('UNREACHABLE', `the verifier at ${base.href} is not up`, { path, status });
  return new GrailError(
    'INTERNAL',
    `${base.href}${path} answered ${status} without an error of this protocol`,
    { status },
  );
}

/** An error that came over the wire, as the error that was thrown there. */
export function remoteError(error: z.infer<typeof errorSchema>): GrailError {
  const { code, message, details } = error;
  if (isCode(code)) return new GrailError(code, message, details);
  return new GrailError('INTERNAL', `the verifier answered ${code}: ${message}`, { ...details, code });
}

function isCode(code: string): code is Code {
  return Object.hasOwn(CODES, code);
}

function json(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new GrailError(
      'BAD_REQUEST',
      'the verifier answered with something that is not JSON',
      {},
      { cause: error },
    );
  }
}

function parseReply<T>(schema: ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new GrailError(
    'BAD_REQUEST',
    `the verifier's reply is malformed: ${issue.path.join('.') || 'document'}: ${issue.message}`,
    { path: issue.path.map(String) },
  );
}

/** The address of the event socket. */
export function eventsUrl(url: URL): URL {
  const socket = new URL('v1/events', url);
  socket.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return socket;
}
