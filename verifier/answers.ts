import type { ServerResponse } from 'node:http';
import { tooMany } from './failures.ts';
import { FairShare } from './fair-share.ts';
import type { GatewayLimits } from './limits.ts';
import type { TokenBuckets } from './rates.ts';
import type { Answer } from './routes.ts';

/** Prometheus's text format. */
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Sends successes, and bounds what all of them hold in memory until they are taken. */
export class Answers {
  readonly #timeoutMs: number;
  readonly #rates: TokenBuckets;
  readonly #memory: FairShare;

  /** @param rates bytes by address */
  constructor(limits: GatewayLimits, rates: TokenBuckets) {
    this.#timeoutMs = limits.answerTimeoutMs;
    this.#rates = rates;
    this.#memory = new FairShare(limits.answerBytesInFlight);
  }

  /** Bytes held. */
  get used(): number {
    return this.#memory.used;
  }

  /** To be asked before something large is read. @throws GrailError TOO_MANY_REQUESTS */
  admit(address: string): void {
    const waitMs = this.#rates.wait(address);
    if (waitMs > 0) throw tooMany('answerBytesPerSecond', 'too many bytes were asked for', waitMs);
  }

  /** @throws GrailError TOO_MANY_REQUESTS when there is no room for it; one that is alone always fits */
  send(address: string, response: ServerResponse, answer: Answer): void {
    // Closed already, it would never close again and give its place back.
    if (response.destroyed) return;
    const bytes = bytesOf(answer);
    const place = this.#memory.enter(address, bytes.length, () => response.destroy());
    if (place === null) throw tooMany('answerBytesInFlight', 'too many answers are being sent', 1_000);
    this.#rates.charge(address, bytes.length);
    const timer = setTimeout(() => response.destroy(), this.#timeoutMs);
    timer.unref();
    response.once('close', () => {
      clearTimeout(timer);
      place.leave();
    });
    if (answer.kind === 'blob') {
      response.setHeader('Content-Type', 'application/octet-stream');
      response.setHeader('Cache-Control', 'public, max-age=31536000, immutable');
      response.setHeader('ETag', `"${answer.hash}"`);
    } else {
      const type = answer.kind === 'metrics' ? METRICS_TYPE : 'application/json; charset=utf-8';
      response.setHeader('Content-Type', type);
      response.setHeader('Cache-Control', 'no-store');
    }
    response.end(bytes);
  }
}

function bytesOf(answer: Answer): Buffer {
  if (answer.kind === 'json') return Buffer.from(JSON.stringify(answer.value));
  if (answer.kind === 'text') return Buffer.from(answer.json);
  if (answer.kind === 'metrics') return Buffer.from(answer.text);
  const { buffer, byteOffset, byteLength } = answer.bytes;
  return Buffer.from(buffer, byteOffset, byteLength);
}
