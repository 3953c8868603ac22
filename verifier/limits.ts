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
  /** Time in which an answer is taken, however steadily: 128 MiB at 1.8 Mbit/s. */
  readonly answerTimeoutMs: number;
  /** TCP connections in total. When all are taken, the address that has most of them loses its oldest. */
  readonly connections: number;
  /** TCP connections of one address. */
  readonly connectionsPerAddress: number;
  /** Requests a second of one address, and how many at once. */
  readonly requestsPerSecond: number;
  readonly requestsBurst: number;
  /** Messages a second of one address, and how many at once: each may cost a signature check. */
  readonly messagesPerSecond: number;
  readonly messagesBurst: number;
  /** Messages that a registration, or a signature that is not the named miner's, counts for besides itself. */
  readonly strangerCost: number;
  /** Registrations of new keys a second, of all addresses together, and how many at once. */
  readonly registrationsPerSecond: number;
  readonly registrationsBurst: number;
  /** Messages a second that a registered key did sign and that a rule refused, and how many at once. */
  readonly refusedPerSecond: number;
  readonly refusedBurst: number;
  /** Messages of one key from one address that are not answered yet. */
  readonly messagesInFlightPerKey: number;
  /** Messages that are parsed and with the sequencer at one time. */
  readonly messagesInFlight: number;
  /** Messages that wait for that, an address after the other; when all places are taken, the longest queue gives way. */
  readonly messagesWaiting: number;
  /** Acknowledgements that are given again without work when their message is repeated. About 1 kB each. */
  readonly rememberedAcknowledgements: number;
  /** Bytes of bodies a second of one address, and how many at once: the largest costs 6 ms to parse and 44 ms to hash. */
  readonly bodyBytesPerSecond: number;
  readonly bodyBytesBurst: number;
  /** Bytes of bodies in memory. When it is full, the address that holds most of it loses its oldest unfinished body. */
  readonly bodyBytesInFlight: number;
  /** Addresses whose rates are remembered; the least recently seen is forgotten. About 100 bytes each. */
  readonly rememberedAddresses: number;
  /** Keys whose refusals are remembered, likewise. */
  readonly rememberedKeys: number;
  /** Bytes of entries after which a page ends; the first entry is always given, and may have 8 MiB. */
  readonly pageBytes: number;
  /** Pages and blobs that are read at one time. */
  readonly readsInFlight: number;
  /** Pages and blobs that wait to be read, an address after the other; the longest queue gives way. */
  readonly readsWaiting: number;
  /** Bytes of pages, blobs and backlogs a second of one address, and how many at once. */
  readonly answerBytesPerSecond: number;
  readonly answerBytesBurst: number;
  /** Bytes of answers in memory until they are taken. When it is full, the address that holds most loses its oldest. */
  readonly answerBytesInFlight: number;
  /** Event sockets in total. When all are taken, the address that has most of them loses its oldest. */
  readonly sockets: number;
  /** Event sockets of one address. */
  readonly socketsPerAddress: number;
  /** Bytes of a frame that a client sends. The longest that means something is below 150. */
  readonly frameBytes: number;
  /** Frames a second of one socket, and how many at once. */
  readonly framesPerSecond: number;
  readonly framesBurst: number;
  /** Bytes a second of one socket, and how many at once: pings and fragments are no frames, but work all the same. */
  readonly socketBytesPerSecond: number;
  readonly socketBytesBurst: number;
  /** Wrong frames after which a socket is closed. */
  readonly badFrames: number;
  /** Bytes waiting for a reader at which its backlog pauses. */
  readonly socketPauseBytes: number;
  /** Bytes waiting for a reader at which its socket is closed: above a pause and the largest entry. */
  readonly socketBufferBytes: number;
  /** Bytes waiting for all readers. When it is full, entries wait in the ledger, and refusals are not told. */
  readonly socketBytesInFlight: number;
  /** Refusals a second that are told to event sockets, and how many at once; their senders are told in any case. */
  readonly toldRefusalsPerSecond: number;
  readonly toldRefusalsBurst: number;
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
  answerTimeoutMs: 600_000,
  connections: 2_048,
  connectionsPerAddress: 512,
  requestsPerSecond: 500,
  requestsBurst: 2_000,
  messagesPerSecond: 100,
  messagesBurst: 400,
  strangerCost: 20,
  registrationsPerSecond: 20,
  registrationsBurst: 200,
  refusedPerSecond: 2,
  refusedBurst: 64,
  messagesInFlightPerKey: 64,
  messagesInFlight: 1_024,
  messagesWaiting: 2_048,
  rememberedAcknowledgements: 4_096,
  bodyBytesPerSecond: 8_388_608,
  bodyBytesBurst: 67_108_864,
  bodyBytesInFlight: 268_435_456,
  rememberedAddresses: 65_536,
  rememberedKeys: 65_536,
  pageBytes: 8_388_608,
  readsInFlight: 4,
  readsWaiting: 1_024,
  answerBytesPerSecond: 33_554_432,
  answerBytesBurst: 268_435_456,
  answerBytesInFlight: 268_435_456,
  sockets: 1_024,
  socketsPerAddress: 256,
  frameBytes: 4_096,
  framesPerSecond: 10,
  framesBurst: 50,
  socketBytesPerSecond: 40_960,
  socketBytesBurst: 204_800,
  badFrames: 8,
  socketPauseBytes: 1_048_576,
  socketBufferBytes: 16_777_216,
  socketBytesInFlight: 268_435_456,
  toldRefusalsPerSecond: 20,
  toldRefusalsBurst: 100,
  heartbeatMs: 20_000,
};
