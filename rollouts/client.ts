import { type ZodType, z } from 'zod';
import { type Genesis, genesisHash, parseGenesis } from '../src/params/genesis.ts';
import { type Hex, toHex } from '../src/protocol/bytes.ts';
import { GrailError } from '../src/protocol/errors.ts';
import { sha256 } from '../src/protocol/hash.ts';
import {
  type Message,
  type MessageType,
  messageDigest,
  type SigningDomain,
} from '../src/protocol/messages.ts';
import type { Phase } from '../src/protocol/phases.ts';
import {
  type Acknowledgement,
  acknowledgementSchema,
  type Receipt,
  receiptSchema,
} from '../src/protocol/wire.ts';
import { Endpoints, isAway } from './endpoints.ts';
import { parseJson, parseReply, parseUrl, request } from './http.ts';
import { checkAttestation, checkReceipt } from './receipt.ts';

/** How long one request may take: a proof is small, and a verifier answers before it replays anything. */
const REQUEST_TIMEOUT_MS = 30_000;
/** How long the first question to one address of several may take: others may answer meanwhile. */
const FIRST_TIMEOUT_MS = 10_000;

/** What a miner reads of a verifier's status; the rest is for people. */
const statusSchema = z.looseObject({
  finished: z.boolean(),
  windows: z.array(z.looseObject({ slots: z.int().min(0) })),
});
export type VerifierStatus = z.infer<typeof statusSchema>;

export interface ClientOptions {
  /** The verifier's address, for example http://127.0.0.1:7420; of several the next is used when one is away. */
  readonly url: string | readonly string[];
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
  readonly endpoints: Endpoints;
  readonly genesis: Genesis;
  /** 32 bytes. */
  readonly genesisHash: Uint8Array;
  readonly domain: SigningDomain;
  readonly #timeoutMs: number;
  /** Addresses that showed that they are on this network. */
  readonly #checked: Set<URL>;

  private constructor(endpoints: Endpoints, genesis: Genesis, checked: Set<URL>, timeoutMs: number) {
    this.endpoints = endpoints;
    this.genesis = genesis;
    this.genesisHash = genesisHash(genesis);
    this.domain = { chainId: genesis.chainId, genesisHash: this.genesisHash };
    this.#checked = checked;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Fetches the network's genesis from every address that answers; one that is away is asked when it is first used.
   * @throws GrailError USAGE, UNREACHABLE, STOPPED, GENESIS_INVALID, or GENESIS_MISMATCH when one is on another network than
   *   the wanted one, or than the others
   */
  static async connect(options: ClientOptions): Promise<VerifierClient> {
    const { url, signal, timeoutMs = REQUEST_TIMEOUT_MS } = options;
    const urls = (typeof url === 'string' ? [url] : url).map(parseUrl);
    const firstMs = urls.length === 1 ? timeoutMs : Math.min(timeoutMs, FIRST_TIMEOUT_MS);
    const answers = await Promise.allSettled(
      urls.map((one) => fetchGenesis(one, { signal, timeoutMs: firstMs })),
    );
    const wrong = answers.find((answer) => answer.status === 'rejected' && !isAway(answer.reason));
    if (wrong?.status === 'rejected') throw wrong.reason;
    let genesis: Genesis | null = null;
    let expected = options.expectedGenesis;
    const checked = new Set<URL>();
    for (const [i, answer] of answers.entries()) {
      if (answer.status === 'rejected') continue;
      const got = toHex(genesisHash(answer.value));
      expected ??= got;
      if (got !== expected) throw otherNetwork(urls[i]!, expected, got);
      genesis ??= answer.value;
      checked.add(urls[i]!);
    }
    const [first] = answers;
    if (genesis === null) throw first?.status === 'rejected' ? first.reason : noAddress();
    return new VerifierClient(new Endpoints(urls), genesis, checked, timeoutMs);
  }

  /** The address that is used now. */
  get url(): URL {
    return this.endpoints.current;
  }

  /**
   * Posts a signed message and checks the acknowledgement.
   * @throws GrailError the code of the verifier's refusal; UNREACHABLE, STOPPED; BAD_SIGNATURE for a false promise
   */
  async post(message: Message, { signal }: Call = {}): Promise<Acknowledgement> {
    const reply = await this.#request('v1/messages', signal, JSON.stringify(message));
    const acknowledgement = parseReply(acknowledgementSchema, reply);
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
      const sentence = 'the acknowledgement promises a place where the message cannot be';
      throw new GrailError('BAD_SIGNATURE', sentence, { got: promise });
    }
    checkAttestation(this, 'acknowledgement', promise, { verifier, signature });
    return acknowledgement;
  }

  /**
   * A blob, by the hash that names it.
   * @throws GrailError BLOB_MISSING, BLOB_CORRUPT, UNREACHABLE, STOPPED
   */
  async blob(hash: Hex, { signal }: Call = {}): Promise<Uint8Array> {
    let bytes: Uint8Array;
    try {
      bytes = await this.#request(`v1/blobs/${hash}`, signal);
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
    const receipt = await this.read(`v1/receipts/${window}/${miner}`, receiptSchema, { signal });
    if (receipt.window !== window || receipt.miner !== miner) {
      throw new GrailError('BAD_SIGNATURE', 'the receipt is of another window or miner', { window });
    }
    checkReceipt(this, receipt);
    return receipt;
  }

  /**
   * What the verifier says of its windows, and whether its run is over: then nothing more is accepted, ever.
   * @throws GrailError UNREACHABLE, STOPPED
   */
  status(call: Call = {}): Promise<VerifierStatus> {
    return this.read('v1/status', statusSchema, call);
  }

  /**
   * Reads what a path answers. Whether it is true is the caller's to check.
   * @throws GrailError the code of the verifier's refusal; UNREACHABLE, STOPPED; BAD_REQUEST for another shape
   */
  async read<T>(path: string, schema: ZodType<T>, { signal }: Call = {}): Promise<T> {
    return parseReply(schema, await this.#request(path, signal));
  }

  /** Messages are idempotent, so that one whose answer was lost may go to the next address. */
  #request(path: string, signal: AbortSignal | undefined, body?: string): Promise<Uint8Array> {
    return this.endpoints.run(async (url) => {
      await this.#check(url, signal);
      return request(url, path, { signal, timeoutMs: this.#timeoutMs, body });
    }, signal);
  }

  async #check(url: URL, signal: AbortSignal | undefined): Promise<void> {
    if (this.#checked.has(url)) return;
    const genesis = await fetchGenesis(url, { signal, timeoutMs: this.#timeoutMs });
    const [expected, got] = [this.genesisHash, genesisHash(genesis)].map(toHex) as [Hex, Hex];
    if (got !== expected) throw otherNetwork(url, expected, got);
    this.#checked.add(url);
  }
}

async function fetchGenesis(
  url: URL,
  options: { readonly signal: AbortSignal | undefined; readonly timeoutMs: number },
): Promise<Genesis> {
  return parseGenesis(parseJson(await request(url, 'v1/genesis', options)));
}

function otherNetwork(url: URL, expected: Hex, got: Hex): GrailError {
  return new GrailError('GENESIS_MISMATCH', `the verifier at ${url.href} runs another network`, {
    expected,
    got,
  });
}

function noAddress(): GrailError {
  return new GrailError('USAGE', 'no address of a verifier was given');
}

/** The phase whose entries a message is among. */
function phaseOf(type: MessageType): Phase {
  if (type === 'register') return 'enrol';
  return type === 'proof' ? 'prove' : type;
}
