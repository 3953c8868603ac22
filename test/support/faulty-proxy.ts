import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the proxy does with one request; `forward` sends it on, and answers as the server does unless told otherwise. */
export type Behaviour = (
  asked: IncomingMessage,
  answer: ServerResponse,
  forward: (relay?: (from: IncomingMessage) => void) => void,
) => void;

/** An HTTP server in front of another one, that fails as a test says. */
export interface FaultyProxy {
  readonly endpoint: string;
  /** Requests that came. */
  requests: number;
  /** Bytes of bodies that were sent back. */
  bytes: number;
  behaviour: Behaviour;
  stop(): Promise<void>;
}

export async function startFaultyProxy(target: string): Promise<FaultyProxy> {
  const server = createServer((asked, answer) => {
    proxy.requests += 1;
    proxy.behaviour(asked, answer, (relay) => {
      const { method, url, headers } = asked;
      const onward = request(new URL(url!, target), { method, headers }, (from) => {
        if (relay !== undefined) return relay(from);
        answer.writeHead(from.statusCode!, from.headers);
        from.on('data', (chunk: Buffer) => {
          proxy.bytes += chunk.length;
          if (!answer.write(chunk)) from.pause();
        });
        answer.on('drain', () => from.resume());
        answer.on('close', () => from.destroy());
        from.on('end', () => answer.end());
      });
      onward.on('error', () => answer.destroy());
      asked.pipe(onward);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy: FaultyProxy = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: 0,
    bytes: 0,
    behaviour: (_asked, _answer, forward) => forward(),
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}
