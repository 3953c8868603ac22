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

  /** Takes a token: 0, or without one the milliseconds until there will be. */
  take(name: string): number {
    const { perSecond, burst } = this.#rate;
    const now = this.#now();
    const bucket = this.#buckets.get(name) ?? { tokens: burst, at: now };
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) * perSecond) / 1000);
    bucket.at = now;
    this.#buckets.delete(name);
    this.#buckets.set(name, bucket);
    if (this.#buckets.size > this.#most) this.#buckets.delete(this.#buckets.keys().next().value!);
    if (bucket.tokens < 1) return ((1 - bucket.tokens) * 1000) / perSecond;
    bucket.tokens -= 1;
    return 0;
  }

  get size(): number {
    return this.#buckets.size;
  }
}

/** Counts what is open, in total and by address. */
export class Occupancy {
  readonly #total: number;
  readonly #perAddress: number;
  readonly #byAddress = new Map<string, number>();
  #count = 0;

  constructor(total: number, perAddress: number) {
    this.#total = total;
    this.#perAddress = perAddress;
  }

  /** Takes a place and gives its release, or null when there is none. */
  enter(address: string): (() => void) | null {
    const own = this.#byAddress.get(address) ?? 0;
    if (this.#count >= this.#total || own >= this.#perAddress) return null;
    this.#count += 1;
    this.#byAddress.set(address, own + 1);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#count -= 1;
      const rest = this.#byAddress.get(address)! - 1;
      if (rest === 0) this.#byAddress.delete(address);
      else this.#byAddress.set(address, rest);
    };
  }

  get count(): number {
    return this.#count;
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
