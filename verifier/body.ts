import type { IncomingMessage, ServerResponse } from 'node:http';
import { GrailError } from '../src/protocol/errors.ts';
import { tooMany } from './failures.ts';
import { FairShare } from './fair-share.ts';
import type { GatewayLimits } from './limits.ts';
import { TokenBuckets } from './rates.ts';

/** Reads bodies, and bounds what all of them hold in memory until they are answered. */
export class Bodies {
  readonly #limits: GatewayLimits;
  readonly #rates: TokenBuckets;
  readonly #memory: FairShare;

  /** @param now milliseconds of a clock that only goes forward */
  constructor(limits: GatewayLimits, now: () => number) {
    this.#limits = limits;
    this.#rates = new TokenBuckets(
      { perSecond: limits.bodyBytesPerSecond, burst: limits.bodyBytesBurst },
      limits.rememberedAddresses,
      now,
    );
    this.#memory = new FairShare(limits.bodyBytesInFlight);
  }

  /** Bytes held. */
  get used(): number {
    return this.#memory.used;
  }

  /**
   * Reads the body of an address's request. What is too large is refused as soon as that is known, not when all has come.
   * @throws GrailError TOO_LARGE; BAD_REQUEST when it is encoded; TOO_MANY_REQUESTS; STOPPED when the sender hung up
   */
  read(address: string, request: IncomingMessage, response: ServerResponse): Promise<Uint8Array> {
    const { bodyBytes } = this.#limits;
    const { 'content-length': declared, 'content-encoding': encoding = 'identity' } = request.headers;
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let length = 0;
      const settle = (error: GrailError | null) => {
        request.off('data', take).off('end', end).off('close', gone).off('error', gone);
        place?.settle();
        if (error === null) {
          resolve(Buffer.concat(chunks));
          return;
        }
        chunks.length = 0;
        place?.leave();
        // What still comes is read and dropped, until the server's own time limit.
        request.on('error', () => {}).resume();
        reject(error);
      };
      const take = (chunk: Buffer) => {
        length += chunk.length;
        this.#rates.charge(address, chunk.length);
        if (length > bodyBytes) settle(tooLarge(bodyBytes));
        else if (place?.add(chunk.length)) chunks.push(chunk);
        else settle(noRoom());
      };
      const end = () => settle(null);
      const gone = () => settle(new GrailError('STOPPED', 'the sender hung up'));
      const waitMs = this.#rates.wait(address);
      const place = this.#memory.enter(address, 0, () => settle(noRoom()));
      response.once('close', () => place?.leave());
      if (encoding !== 'identity') {
        settle(new GrailError('BAD_REQUEST', 'send the body without Content-Encoding'));
      } else if (declared !== undefined && Number(declared) > bodyBytes) {
        settle(tooLarge(bodyBytes));
      } else if (waitMs > 0) {
        settle(tooMany('bodyBytesPerSecond', 'too many bytes of this address', waitMs));
      } else {
        request.on('data', take).on('end', end).on('close', gone).on('error', gone);
      }
    });
  }
}

function noRoom(): GrailError {
  return tooMany('bodyBytesInFlight', 'too many bodies are arriving at once', 1_000);
}

function tooLarge(most: number): GrailError {
  return new GrailError('TOO_LARGE', `a body has at most ${most} bytes`, { limit: most });
}
