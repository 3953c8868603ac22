/** Entries of one page of /v1/entries; part of the interface, so that clients may count on it. */
export const PAGE_ENTRIES = 256;

/**
 * What a gateway takes from strangers. Every bound is listed in docs/LIMITS.md. None of them decides a verdict: they
 * protect one machine, and another verifier may choose others.
 */
export interface GatewayLimits {
  /** Bytes of a request's body. The largest opening (1 MiB of observations in hex, 4,096 digests) is 2,380,300. */
  readonly bodyBytes: number;
  /** Objects and arrays within one another in a body. A message needs two. */
  readonly jsonDepth: number;
  /** Bytes of a request's target. The longest that means something is below 150. */
  readonly urlBytes: number;
  /** Bytes of a request's line and headers. Browsers with cookies of other local services send a few kilobytes. */
  readonly headerBytes: number;
  /** Time for a request's headers to arrive. */
  readonly headersTimeoutMs: number;
  /** Time for a whole request to arrive: 2.4 MB at 0.7 Mbit/s. */
  readonly requestTimeoutMs: number;
  /** Silence after which a connection that waits for nothing is closed. */
  readonly keepAliveTimeoutMs: number;
  /** Silence after which a connection in the middle of an answer is closed: its reader stopped. */
  readonly idleTimeoutMs: number;
  /** TCP connections in total. Each may hold one body. */
  readonly connections: number;
  /** TCP connections of one address. */
  readonly connectionsPerAddress: number;
  /** Requests a second of one address, and how many at once. */
  readonly requestsPerSecond: number;
  readonly requestsBurst: number;
  /** Messages a second of one address, and how many at once: each may cost a signature check of about 2 ms. */
  readonly messagesPerSecond: number;
  readonly messagesBurst: number;
  /** Addresses whose rates are remembered; the least recently seen is forgotten. About 100 bytes each. */
  readonly rememberedAddresses: number;
  /** Bytes of entries after which a page ends; the first entry is always given, and may have 8 MiB. */
  readonly pageBytes: number;
  /** Bytes of blobs that are being sent at one time: they are held in memory. One blob is always sent. */
  readonly blobBytesInFlight: number;
  /** Event sockets in total. */
  readonly sockets: number;
  /** Event sockets of one address. */
  readonly socketsPerAddress: number;
  /** Bytes of a frame that a client sends. The longest that means something is below 150. */
  readonly frameBytes: number;
  /** Frames a second of one socket, and how many at once. */
  readonly framesPerSecond: number;
  readonly framesBurst: number;
  /** Wrong frames after which a socket is closed. */
  readonly badFrames: number;
  /** Bytes waiting for a reader at which its backlog pauses. */
  readonly socketPauseBytes: number;
  /** Bytes waiting for a reader at which its socket is closed: above a pause and the largest entry. */
  readonly socketBufferBytes: number;
  /** Time between pings; a socket that neither answers nor reads between two is closed. */
  readonly heartbeatMs: number;
}

export const DEFAULT_LIMITS: GatewayLimits = {
  bodyBytes: 2_400_000,
  jsonDepth: 8,
  urlBytes: 2_048,
  headerBytes: 16_384,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 30_000,
  idleTimeoutMs: 60_000,
  connections: 2_048,
  connectionsPerAddress: 512,
  requestsPerSecond: 500,
  requestsBurst: 2_000,
  messagesPerSecond: 100,
  messagesBurst: 400,
  rememberedAddresses: 65_536,
  pageBytes: 8_388_608,
  blobBytesInFlight: 268_435_456,
  sockets: 1_024,
  socketsPerAddress: 256,
  frameBytes: 4_096,
  framesPerSecond: 10,
  framesBurst: 50,
  badFrames: 8,
  socketPauseBytes: 1_048_576,
  socketBufferBytes: 16_777_216,
  heartbeatMs: 20_000,
};
