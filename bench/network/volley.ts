import { request } from 'node:http';

/** How requests are sent: so many under way at any time, or so many a second whatever becomes of them. */
export type Shape = { readonly inFlight: number } | { readonly perSecond: number };

/** What became of requests that were sent together. */
export interface Volley {
  /** From the first request to the last answer. */
  readonly seconds: number;
  /** Ascending. Of a paced request from when it was due, so that a sender that falls behind hides nothing. */
  readonly latenciesMs: readonly number[];
  /** Bodies of the answers, in order of the requests. */
  readonly answers: readonly string[];
  /** Bytes on the wire above TCP, headers included. */
  readonly bytes: number;
  /** Times that a request was turned away and sent again: too many at once, or a connection that was reset. */
  readonly retries: number;
}

/** How long one that was turned away waits. Its latency goes on meanwhile. */
const RETRY_MS = 1000;

/** Addresses of this machine that requests come from in turn: a gateway takes 100 messages a second of one. */
const ADDRESSES = 250;

/** The address that a request of this number comes from. */
export function sourceAddress(number: number): string {
  return `127.0.0.${2 + (number % ADDRESSES)}`;
}

/** One thing to be sent: GET without a body. */
export interface Shot {
  readonly path: string;
  readonly body?: string;
}

/** Sends all shots, each over a connection of its own, as miners do. @throws Error when one is refused for good */
export async function fire(url: URL, shots: readonly Shot[], shape: Shape): Promise<Volley> {
  const latenciesMs: number[] = [];
  const answers: string[] = [];
  let bytes = 0;
  let retries = 0;
  const began = performance.now();
  const one = async (number: number, due: number): Promise<void> => {
    const answer = await insist(url, shots[number]!, sourceAddress(number), () => retries++);
    latenciesMs.push(performance.now() - due);
    answers[number] = String(answer.body);
    bytes += answer.bytes;
  };
  if ('inFlight' in shape) {
    let next = 0;
    const lane = async () => {
      while (next < shots.length) await one(next++, performance.now());
    };
    await Promise.all(Array.from({ length: Math.min(shape.inFlight, shots.length) }, lane));
  } else {
    const under: Promise<void>[] = [];
    for (let number = 0; number < shots.length; number++) {
      const due = began + (number * 1000) / shape.perSecond;
      const wait = due - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      const sent = one(number, due);
      // A failure is thrown below, once all were sent.
      sent.catch(() => {});
      under.push(sent);
    }
    await Promise.all(under);
  }
  return {
    seconds: (performance.now() - began) / 1000,
    latenciesMs: latenciesMs.sort((a, b) => a - b),
    answers,
    bytes,
    retries,
  };
}

/** What the verifier answers to a GET, asked again where it turns away. */
export async function fetchBytes(url: URL, path: string): Promise<Uint8Array> {
  return (await insist(url, { path }, sourceAddress(0), () => {})).body;
}

/** Sends until it is taken. */
async function insist(url: URL, shot: Shot, localAddress: string, onRetry: () => void): Promise<Reply> {
  for (;;) {
    const reply = await send(url, shot, localAddress);
    if (reply !== null) return reply;
    onRetry();
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** Statuses after which the same request may pass later. */
const PASSING = [408, 429, 503];

interface Reply {
  readonly body: Buffer;
  readonly bytes: number;
}

/** Sends one request over a connection of its own. Null when it should be sent again. */
function send(url: URL, { path, body }: Shot, localAddress: string): Promise<Reply | null> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = url;
    const method = body === undefined ? 'GET' : 'POST';
    const headers =
      body === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const call = request(
      { hostname, port, path, method, headers, localAddress, agent: false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const whole = Buffer.concat(chunks);
          if (PASSING.includes(response.statusCode!)) resolve(null);
          else if (response.statusCode !== 200) reject(new Error(`${path}: ${response.statusCode} ${whole}`));
          else resolve({ body: whole, bytes: response.socket.bytesRead + response.socket.bytesWritten });
        });
      },
    );
    call.on('error', (error: Error & { code?: string }) => {
      if (error.code === 'ECONNRESET') resolve(null);
      else reject(error);
    });
    call.end(body);
  });
}

/** A quantile of ascending values. */
export function quantile(ascending: readonly number[], share: number): number {
  return ascending[Math.min(ascending.length - 1, Math.ceil(share * ascending.length) - 1)] ?? Number.NaN;
}
