import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A relay of connections that can be cut where the server does not notice. */
export interface TcpProxy {
  readonly port: number;
  /** Breaks the clients' side of every connection; the server's side stays open, and what it sends goes nowhere. */
  cut(): void;
  stop(): Promise<void>;
}

export async function startTcpProxy(target: number): Promise<TcpProxy> {
  const clients = new Set<Socket>();
  const servers = new Set<Socket>();
  const proxy = createServer((client) => {
    const server = connect(target, '127.0.0.1');
    clients.add(client);
    servers.add(server);
    for (const socket of [client, server]) socket.on('error', () => socket.destroy());
    client.on('data', (bytes) => server.write(bytes));
    server.on('data', (bytes) => client.write(bytes));
    client.on('end', () => server.end());
    server.on('end', () => client.end());
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return {
    port: (proxy.address() as AddressInfo).port,
    cut() {
      for (const client of clients) client.destroy();
      clients.clear();
    },
    async stop() {
      for (const socket of [...clients, ...servers]) socket.destroy();
      proxy.close();
      await once(proxy, 'close');
    },
  };
}
