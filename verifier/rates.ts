/** A rate: `perSecond` on average, `burst` at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

interface Bucket {
  tokens: number;
  at: number;
}

/** Token buckets by name, in bounded memory: the least recently used is forgotten, which fills it again. */
export class TokenBuckets {
  readonly #rate: Rate;
  readonly #most: number;
  readonly #now: () => number;
  readonly #buckets = new Map<string, Bucket>();

  /** @param now milliseconds of a clock that only goes forward */
  constructor(rate: Rate, most: number, now: () => number) {
    this.#rate = rate;
    this.#most = most;
    this.#now = now;
  }

  /**
   * Takes tokens: 0, or the milliseconds until there will be one. Whoever finds one may take more than there are: the rest
   * is a debt, of `burst` at most, that later callers wait for.
   */
  take(name: string, tokens = 1): number {
    const waitMs = this.wait(name);
    if (waitMs === 0) this.charge(name, tokens);
    return waitMs;
  }

  /** Milliseconds until there is a token, without taking one. */
  wait(name: string): number {
    const { tokens } = this.#filled(name);
    return tokens < 1 ? ((1 - tokens) * 1000) / this.#rate.perSecond : 0;
  }

  /** Takes tokens whether they are there or not. */
  charge(name: string, tokens: number): void {
    const bucket = this.#filled(name);
    bucket.tokens = Math.max(-this.#rate.burst, bucket.tokens - tokens);
  }

  /** The bucket with what has flowed into it, as the one used last. */
  #filled(name: string): Bucket {
    const { perSecond, burst } = this.#rate;
    const now = this.#now();
    const bucket = this.#buckets.get(name) ?? { tokens: burst, at: now };
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) * perSecond) / 1000);
    bucket.at = now;
    this.#buckets.delete(name);
    this.#buckets.set(name, bucket);
    if (this.#buckets.size > this.#most) this.#buckets.delete(this.#buckets.keys().next().value!);
    return bucket;
  }

  get size(): number {
    return this.#buckets.size;
  }
}

/**
 * The name under which a peer's rates are counted: its IPv4 address, or the /64 of its IPv6 address, since one person
 * has a whole /64.
 */
export function peerName(address: string | undefined): string {
  if (address === undefined) return 'unknown';
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped) return mapped[1]!;
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('%')[0]!.toLowerCase().split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...new Array<string>(zeros).fill('0'), ...right];
  return `${groups.slice(0, 4).join(':')}::/64`;
}
