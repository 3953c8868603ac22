import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { VerifierClient } from '../../rollouts/client.ts';
import { honest } from '../../rollouts/conduct.ts';
import { Endpoints } from '../../rollouts/endpoints.ts';
import { followLedger } from '../../rollouts/feed.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import type { Message } from '../../src/protocol/messages.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { FAST, MinerNetwork, until } from '../helpers/miner-network.ts';
import { KEYS, named, type TestNetwork } from '../helpers/network.ts';

/** A miner whose verifier goes away, takes nothing, or knows another process of its key. */
let live: MinerNetwork;
let network: TestNetwork;

beforeEach(async () => {
  live = new MinerNetwork();
  ({ network } = live);
  await live.serve();
});

afterEach(() => live.remove());

const { address } = KEYS.miner;

/** What each phase of window 0 waits for. */
const delivered = {
  enrol: () => live.enrolled(0),
  commit: () => live.committed(0),
  opening: () => live.opened(0),
  proof: () => live.proved(0),
};

describe('a miner whose verifier goes away', () => {
  test.each([
    ['enrol', 'before it was taken'],
    ['enrol', 'after it was taken'],
    ['commit', 'before it was taken'],
    ['commit', 'after it was taken'],
    ['opening', 'before it was taken'],
    ['opening', 'after it was taken'],
    ['proof', 'before it was taken'],
    ['proof', 'after it was taken'],
  ] as const)('while it posts its %s, %s, goes on when it is back', async (type, when) => {
    const genuine = network.submit.bind(network);
    const stuck: string[] = [];
    network.submit = (value) => {
      const message = value as Message;
      if (message.type !== type || stuck.length > 0) return genuine(value);
      stuck.push(message.type);
      if (when === 'after it was taken') network.take(message);
      // The answer never comes: the verifier dies.
      return new Promise(() => {});
    };
    const running = await live.mine({ windows: 1 });
    const before = Object.keys(delivered).indexOf(type);
    for (const done of Object.values(delivered).slice(0, before)) {
      await until(done, 'delivered');
      await network.close(0);
    }
    await until(() => stuck.length > 0, 'posted');
    await live.leave();
    await until(() => running.of('disconnected').length > 0, 'noticed');
    await live.serve(live.url);
    for (const done of Object.values(delivered).slice(before)) {
      await until(done, 'delivered');
      await network.close(0);
    }
    expect(await running.end).toMatchObject({ windows: 1, verdicts: 1, rejections: 0, credit: 200n });
    expect(running.of('foreign')).toEqual([]);
  });

  test.each(['STORAGE_UNAVAILABLE', 'STOPPED', 'UNREACHABLE', 'INTERNAL'] as const)(
    'or answers %s tries again until it is taken',
    async (code) => {
      const genuine = network.submit.bind(network);
      let refusals = 0;
      network.submit = (value) => {
        if (refusals++ < 3) throw new GrailError(code, 'not now');
        return genuine(value);
      };
      const { of } = await live.mine();
      await until(() => live.enrolled(0), 'enrolled');
      expect(of('failed').map((event) => event.code)).toEqual([code, code, code]);
      expect(of('rejected')).toEqual([]);
    },
  );

  test('waits as long as the verifier says, and a little more so that a crowd spreads', async () => {
    const genuine = network.submit.bind(network);
    let refused = false;
    network.submit = (value) => {
      if (refused) return genuine(value);
      refused = true;
      throw new GrailError('TOO_MANY_REQUESTS', 'too many messages', { retryAfterSeconds: 1 });
    };
    const { of } = await live.mine();
    await until(() => of('failed').length > 0, 'refused');
    const { retryMs } = of('failed')[0]!;
    expect(retryMs).toBeGreaterThanOrEqual(1000);
    expect(retryMs).toBeLessThanOrEqual(1250);
    expect(live.enrolled(0)).toBe(false);
    await until(() => live.enrolled(0), 'enrolled after the wait');
  });
});

describe('Retry-After', () => {
  let server: Server;

  afterEach(() => void server.close());

  test.each([
    [429, 'TOO_MANY_REQUESTS'],
    [503, 'UNREACHABLE'],
  ] as const)('of a proxy’s %i, which has no code of this protocol, is heard', async (status, code) => {
    server = createServer((_, response) => {
      response.writeHead(status, { 'Retry-After': '7' }).end('<html>busy</html>');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const error = await expectCode(code, VerifierClient.connect({ url }));
    expect(error.details.retryAfterSeconds).toBe(7);
  });
});

describe('a miner with two addresses of its verifier', () => {
  test('takes the other one in the middle of a window, and the first again', async () => {
    const second = await live.serve();
    const client = await VerifierClient.connect({ url: [live.url, second] });
    const running = await live.mine({ client, windows: 1 });
    await until(delivered.enrol, 'enrolled');
    await live.leave(live.url);
    await network.close(0);
    await until(delivered.commit, 'committed by the second');
    expect(client.url.href).toBe(`${second}/`);
    await live.serve(live.url);
    await live.leave(second);
    await network.close(0);
    await until(delivered.opening, 'opened by the first');
    await network.close(0);
    await until(delivered.proof, 'proved');
    await network.close(0);
    expect(await running.end).toMatchObject({ verdicts: 1, rejections: 0 });
    expect(running.of('connected').map((event) => event.url)).toContain(`${second}/`);
  });

  test('starts while the first is away', async () => {
    const second = await live.serve();
    await live.leave(live.url);
    await live.mine({ client: await VerifierClient.connect({ url: [live.url, second] }) });
    await until(delivered.enrol, 'enrolled');
  });

  test('does not start when they are of different networks', async () => {
    const other = new MinerNetwork({ name: 'another' });
    const url = [live.url, await other.serve()];
    const { details } = await expectCode('GENESIS_MISMATCH', VerifierClient.connect({ url }));
    expect(details.got).not.toBe(details.expected);
    await other.remove();
  });

  test('ends when the second, away at the start, turns out to be of another network', async () => {
    const other = new MinerNetwork({ name: 'another' });
    const address = await other.serve();
    await other.leave(address);
    const client = await VerifierClient.connect({ url: [live.url, address] });
    await other.serve(address);
    await live.leave(live.url);
    const { end } = await live.mine({ client });
    await expectCode('GENESIS_MISMATCH', end);
    await other.remove();
  });
});

describe('a ledger that is shorter than what was seen of it', () => {
  /** Answers each connection with a hello of the next size, then says that it is up to date. */
  async function follow(sizes: readonly number[]) {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    await once(server, 'listening');
    const genesisHash = named('network');
    let connections = 0;
    let synced = 0;
    server.on('connection', (socket) => {
      const size = sizes[Math.min(connections++, sizes.length - 1)]!;
      socket.send(JSON.stringify({ type: 'hello', genesisHash, size }));
      socket.on('message', () => socket.send(JSON.stringify({ type: 'synced', size })));
    });
    const ending = new AbortController();
    const following = followLedger({
      endpoints: new Endpoints([new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)]),
      genesisHash: Buffer.from(genesisHash.slice(2), 'hex'),
      miner: address,
      next: () => 5,
      signal: ending.signal,
      onEntry: () => {},
      onSynced: () => {
        synced++;
        ending.abort();
      },
      onDown: () => {},
      backoff: FAST,
    });
    const end = await following.then(
      () => 'followed',
      (error: GrailError) => error.code,
    );
    for (const socket of server.clients) socket.terminate();
    server.close();
    return { end, connections, synced };
  }

  test('is waited for while it may only be behind', async () => {
    expect(await follow([3, 4, 5])).toEqual({ end: 'followed', connections: 3, synced: 1 });
  });

  test('is LEDGER_DIVERGED when it stays so', async () => {
    expect(await follow([3])).toEqual({ end: 'LEDGER_DIVERGED', connections: 5, synced: 0 });
  });
});

describe('a key that another process uses as well', () => {
  test('is told of, once its messages stand in the ledger', async () => {
    const { of } = await live.mine({ windows: 1 });
    await until(delivered.enrol, 'enrolled');
    await network.close(0);
    // It is in its one window: it would not enrol in the next.
    network.take(network.miner.enrol(1));
    await until(() => of('foreign').length > 0, 'told');
    expect(of('foreign')).toMatchObject([{ window: 1, message: 'enrol' }]);
  });

  test('posts no commit beside a different one that came while it played', async () => {
    const played = Promise.withResolvers<void>();
    const slow = {
      ...honest,
      commits: async (...[context, rollouts]: Parameters<typeof honest.commits>) => {
        const commits = await honest.commits(context, rollouts);
        await played.promise;
        return commits;
      },
    };
    const { of, end } = await live.mine({ conduct: slow });
    await until(delivered.enrol, 'enrolled');
    await network.close(0);
    network.take(network.miner.commit(0));
    await until(() => of('foreign').length > 0, 'seen');
    played.resolve();
    const { details } = await expectCode('ALREADY_RUNNING', end);
    expect(details).toMatchObject({ window: 0, type: 'commit' });
    expect(live.state(0).commits.conflict(address)).toBeUndefined();
  });

  test('opens nothing that a different commit of its key does not fit', async () => {
    network.take(network.miner.enrol(0));
    await network.close(0);
    network.take(network.miner.commit(0));
    await network.close(0);
    const { end } = await live.mine();
    await expectCode('ALREADY_RUNNING', end);
    expect(live.opened(0)).toBe(false);
  });

  test('ends the miner when the verifier finds the second message first', async () => {
    network.submit = async () => {
      throw new GrailError('EQUIVOCATION', 'two different messages of this key in one phase');
    };
    const { end, of } = await live.mine();
    await expectCode('ALREADY_RUNNING', end);
    expect(of('rejected')).toMatchObject([{ code: 'EQUIVOCATION', message: 'enrol' }]);
  });
});
