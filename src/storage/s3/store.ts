import type { S3Client } from '@aws-sdk/client-s3';
import { concat, type Hex, toHex } from '../../protocol/bytes.ts';
import { GrailError } from '../../protocol/errors.ts';
import { sha256 } from '../../protocol/hash.ts';
import {
  type BlobEntry,
  type BlobStore,
  blobEntry,
  blobName,
  checkBlob,
  checkSize,
  corrupt,
  MAX_BLOB_BYTES,
  missing,
} from '../blobs.ts';
import { s3Failure } from './failures.ts';
import type { S3Location } from './location.ts';

type Sdk = typeof import('@aws-sdk/client-s3');

export interface S3Limits {
  readonly maxBytes: number;
  /** Tries of a request that was not answered, or with 5xx or 429, with a back-off between them. */
  readonly attempts: number;
  readonly connectMs: number;
  /** Longest silence of a connection. */
  readonly idleMs: number;
  /** Longest time for all of an operation: its tries and the whole body. */
  readonly deadlineMs: number;
  /** Connections at once; more requests wait for one, within their deadline. */
  readonly connections: number;
}

export const DEFAULT_S3_LIMITS: S3Limits = {
  maxBytes: MAX_BLOB_BYTES,
  attempts: 4,
  connectMs: 5_000,
  idleMs: 20_000,
  deadlineMs: 120_000,
  connections: 50,
};

/**
 * Blobs as objects `PREFIX/SHA256` of a bucket, at AWS or at a server that speaks S3. An object is overwritten only by the same
 * bytes, so any number of processes may write at once, and storing a blob again mends a damaged one.
 */
export class S3BlobStore implements BlobStore {
  readonly location: S3Location;
  readonly #sdk: Sdk;
  readonly #client: S3Client;
  readonly #limits: S3Limits;
  /** What all keys begin with. */
  readonly #folder: string;

  private constructor(location: S3Location, sdk: Sdk, limits: S3Limits) {
    this.location = location;
    this.#sdk = sdk;
    this.#limits = limits;
    this.#folder = location.prefix === '' ? '' : `${location.prefix}/`;
    const agent = { keepAlive: true, maxSockets: limits.connections };
    const { endpoint, forcePathStyle } = location;
    // A server of one’s own has no regions, but a signature names one.
    const region = location.region ?? (endpoint === null ? null : 'us-east-1');
    this.#client = new sdk.S3Client({
      forcePathStyle,
      ...(endpoint !== null && { endpoint }),
      ...(region !== null && { region }),
      maxAttempts: limits.attempts,
      // Not every server knows the SDK’s own checksums; what comes back is held to its name.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      // A server that never says “continue” would hold up every large blob for six seconds.
      expectContinueHeader: false,
      requestHandler: {
        connectionTimeout: limits.connectMs,
        socketTimeout: limits.idleMs,
        httpAgent: agent,
        httpsAgent: agent,
      },
    });
  }

  /**
   * Loads the SDK and asks the bucket for a name, so that a wrong bucket or wrong credentials show at once.
   * @throws GrailError STORAGE_UNAVAILABLE
   */
  static async open(location: S3Location, limits: Partial<S3Limits> = {}): Promise<S3BlobStore> {
    const sdk = await import('@aws-sdk/client-s3');
    const store = new S3BlobStore(location, sdk, { ...DEFAULT_S3_LIMITS, ...limits });
    await store.#page(undefined, 1);
    return store;
  }

  async put(bytes: Uint8Array): Promise<Hex> {
    checkSize(bytes, this.#limits.maxBytes);
    // The caller may reuse its buffer while the network is busy.
    const Body = bytes.slice();
    const hash = toHex(sha256(Body));
    const command = new this.#sdk.PutObjectCommand({ ...this.#object(hash), Body });
    await this.#run('put', (options) => this.#client.send(command, options));
    return hash;
  }

  async get(hash: Hex): Promise<Uint8Array> {
    const command = new this.#sdk.GetObjectCommand(this.#object(hash));
    const bytes = await this.#run('get', async (options) => {
      const { Body, ContentLength = 0 } = await this.#client
        .send(command, options)
        .catch((error: unknown) => {
          throw isAbsent(error) ? missing(hash) : error;
        });
      const chunks: Uint8Array[] = [];
      let length = 0;
      for await (const chunk of Body as AsyncIterable<Uint8Array>) {
        length += chunk.length;
        const least = Math.max(length, ContentLength);
        if (least > this.#limits.maxBytes) throw corrupt(hash, `${least} bytes`);
        chunks.push(chunk);
      }
      return concat(...chunks);
    });
    return checkBlob(hash, bytes);
  }

  async has(hash: Hex): Promise<boolean> {
    const command = new this.#sdk.HeadObjectCommand(this.#object(hash));
    return await this.#run('has', (options) => isThere(this.#client.send(command, options)));
  }

  async delete(hash: Hex): Promise<void> {
    const command = new this.#sdk.DeleteObjectCommand(this.#object(hash));
    await this.#run('delete', (options) => isThere(this.#client.send(command, options)));
  }

  async *list(): AsyncIterable<BlobEntry> {
    let token: string | undefined;
    do {
      const page = await this.#page(token, 1000);
      for (const { Key = '' } of page.Contents ?? []) {
        // Consoles make empty objects that stand for folders.
        if (!Key.endsWith('/')) yield blobEntry(Key.slice(this.#folder.length));
      }
      token = page.NextContinuationToken;
    } while (token !== undefined);
  }

  #page(ContinuationToken: string | undefined, MaxKeys: number) {
    const command = new this.#sdk.ListObjectsV2Command({
      Bucket: this.location.bucket,
      Prefix: this.#folder,
      MaxKeys,
      ...(ContinuationToken !== undefined && { ContinuationToken }),
    });
    return this.#run('list', (options) => this.#client.send(command, options));
  }

  #object(hash: Hex) {
    return { Bucket: this.location.bucket, Key: `${this.#folder}${blobName(hash)}` };
  }

  async #run<T>(
    operation: string,
    action: (options: { abortSignal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    try {
      return await action({ abortSignal: AbortSignal.timeout(this.#limits.deadlineMs) });
    } catch (error) {
      if (error instanceof GrailError) throw error;
      throw s3Failure(operation, this.location, error);
    }
  }
}

/** Whether the answer was “no such object”. A bucket or a user that is not there is another matter, and 404 as well. */
function isAbsent(error: unknown): boolean {
  return error instanceof Error && (error.name === 'NoSuchKey' || error.name === 'NotFound');
}

/** Whether a request was answered with success, and not with “no such object”. */
async function isThere(answer: Promise<unknown>): Promise<boolean> {
  try {
    await answer;
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}
