import { jetstreamManager } from '@nats-io/jetstream';
import { connect as connectNatsClient } from '@nats-io/transport-node';
import { afterAll, afterEach, beforeAll, describe } from 'vitest';
import type { Bus, JobSettings } from '../../verifier/bus/bus.ts';
import { connectNats } from '../../verifier/bus/nats.ts';
import { busCompliance } from '../helpers/bus-compliance.ts';
import { type NatsServer, startNats } from '../support/nats.ts';

let server: NatsServer;
let namespaces = 0;
const { signal } = new AbortController();

const newNamespace = () => (++namespaces).toString(16).padStart(16, '0');

function connect(namespace: string, settings: Partial<JobSettings> = {}, url = server.url): Promise<Bus> {
  return connectNats(url, { name: 'test', namespace, settings, signal, env: {} });
}

beforeAll(async () => {
  server = await startNats();
});

afterAll(() => server.stop());

/** Every network has room of its own set aside on the server's disk. */
afterEach(async () => {
  const client = await connectNatsClient({ servers: server.url });
  const { streams } = await jetstreamManager(client);
  for await (const { config } of streams.list()) await streams.delete(config.name);
  await client.close();
});

describe('the bus on NATS', () => {
  busCompliance(async (settings) => {
    const namespace = newNamespace();
    const [here, there] = await Promise.all([connect(namespace, settings), connect(namespace, settings)]);
    return { here, there };
  });
});
