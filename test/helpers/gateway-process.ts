import { type Genesis, parseGenesis } from '../../src/params/genesis.ts';
import { createGateway } from '../../verifier/gateway.ts';
import type { GatewayLimits } from '../../verifier/limits.ts';
import { createLog } from '../../verifier/log.ts';
import { TestNetwork } from './network.ts';

/**
 * A gateway in a process of its own, over a test network: a child of abuse.test.ts, so that floods and the gateway do not
 * share an event loop. Told by `fork` which genesis and limits; says where it listens, and what it holds when asked.
 */
export interface GatewayProcessStart {
  readonly genesis: Genesis;
  readonly limits: Partial<GatewayLimits>;
  /** Bytes of blobs to be stored. */
  readonly blobs: readonly number[];
}

export interface GatewayProcessReport {
  readonly url: string;
  readonly blobs: readonly string[];
  readonly entries: number;
  readonly rssBytes: number;
}

const start: GatewayProcessStart = JSON.parse(process.argv[2]!);
const network = new TestNetwork(parseGenesis(start.genesis));
const gateway = createGateway({
  sequencer: network,
  blobs: network.blobs,
  host: '127.0.0.1',
  port: 0,
  limits: start.limits,
  log: createLog({ format: 'json', level: 'error', write: (line) => process.stderr.write(`${line}\n`) }),
});
const { url } = await gateway.start();
const blobs = await Promise.all(
  start.blobs.map((bytes, fill) => network.blobs.put(new Uint8Array(bytes).fill(fill))),
);
const report = (): GatewayProcessReport => ({
  url,
  blobs,
  entries: network.ledger.size,
  rssBytes: process.memoryUsage.rss(),
});
process.on('message', () => process.send!(report()));
process.on('disconnect', () => {
  network.remove();
  process.exit(0);
});
process.send!(report());
