import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect as connectClient, nkeys } from '@nats-io/transport-node';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connectNats } from '../../verifier/bus/nats.ts';
import { eventually, newJob } from '../helpers/bus-compliance.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { type NatsServer, startNats } from '../support/nats.ts';

const NAMESPACE = '00112233445566aa';

let folder: string;
let servers: NatsServer[];

beforeEach(async () => {
  servers = [];
  folder = await mkdtemp(join(tmpdir(), 'grail-nats-connect-'));
});

afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  await rm(folder, { recursive: true, force: true });
});

async function start(flags: readonly string[] = []): Promise<NatsServer> {
  const server = await startNats(flags);
  servers.push(server);
  return server;
}

async function startWith(config: string): Promise<NatsServer> {
  const path = join(folder, 'server.conf');
  await writeFile(path, config);
  return start(['--config', path]);
}

function connect(url: string, env: Record<string, string> = {}, signal = new AbortController().signal) {
  return connectNats(url, { name: 'gateway-1', namespace: NAMESPACE, signal, env });
}

/** Has a job done, which takes all that the bus may do on the server. */
async function expectWorking(url: string, env: Record<string, string> = {}): Promise<void> {
  const bus = await connect(url, env);
  bus.jobs.work('replay', async (payload) => payload, { concurrency: 1 });
  const job = newJob(Uint8Array.of(3));
  expect(await bus.jobs.run(job, { signal: AbortSignal.timeout(20_000) })).toEqual(Uint8Array.of(3));
  await bus.close();
}

const withLogin = (url: string, login: string) => url.replace('nats://', `nats://${login}@`);

describe('logging in', () => {
  test('user and password come from the URL, and are told to nobody', async () => {
    const { url } = await start(['--user', 'grail', '--pass', 's3:cr@t']);
    const login = withLogin(url, 'grail:s3%3Acr%40t');
    await expectWorking(login);
    const bus = await connect(login);
    expect(bus.name).toBe(url);
    await bus.close();
  });

  test('a wrong password is refused at once, in words that do not hold it', { timeout: 8_000 }, async () => {
    const { url } = await start(['--user', 'grail', '--pass', 'right']);
    const error = await expectCode('UNREACHABLE', connect(withLogin(url, 'grail:wr0ng')));
    expect(error.message).toMatch(/authorization/i);
    expect(JSON.stringify(error) + error.stack).not.toContain('wr0ng');
  });

  test('a token comes from the URL', async () => {
    const { url } = await start(['--auth', 'token-of-the-operator']);
    await expectWorking(withLogin(url, 'token-of-the-operator'));
  });

  test('a file of credentials is named by GRAIL_NATS_CREDS', async () => {
    const { config, credentials } = operatorMode();
    const { url } = await startWith(config);
    const path = join(folder, 'user.creds');
    await writeFile(path, credentials);
    await expectCode('UNREACHABLE', connect(url));
    await expectWorking(url, { GRAIL_NATS_CREDS: path });
  });

  test('a file of credentials that cannot be read is wrong usage', async () => {
    const path = join(folder, 'missing.creds');
    const error = await expectCode('USAGE', connect('nats://127.0.0.1:1', { GRAIL_NATS_CREDS: path }));
    expect(error.message).toContain(path);
  });
});

describe('connecting', () => {
  test.each(['', 'localhost:4222', 'http://localhost:4222', 'nats://', 'nats://%:x@host'])(
    'the URL "%s" is wrong usage',
    async (url) => {
      await expectCode('USAGE', connect(url));
    },
  );

  test('a server that starts a little later is waited for', async () => {
    const server = await start();
    await server.kill();
    const connecting = connect(server.url);
    await server.start();
    const bus = await connecting;
    expect(bus.trouble()).toBeNull();
    await bus.close();
  });

  test('is given up when it is aborted', async () => {
    const abort = new AbortController();
    const connecting = expectCode('STOPPED', connect('nats://127.0.0.1:1', {}, abort.signal));
    abort.abort();
    await connecting;
  });

  test('a server that takes no messages as large as the bus needs is refused', async () => {
    const { url } = await startWith('max_payload: 100000');
    const error = await expectCode('UNREACHABLE', connect(url));
    expect(error.message).toContain('max_payload');
  });

  test('a server without JetStream carries messages, and jobs wait until it has it', async () => {
    const { url } = await startWith(
      'accounts: { PLAIN: { users: [{ user: plain, password: plain }] } }, no_auth_user: plain',
    );
    const bus = await connect(url);
    bus.serve('submit', async (bytes) => bytes, { concurrency: 1, queue: 0 });
    expect(await bus.request('submit', Uint8Array.of(1), { timeoutMs: 5_000 })).toEqual(Uint8Array.of(1));
    const abort = new AbortController();
    const waiting = expectCode('STOPPED', bus.jobs.run(newJob(), { signal: abort.signal }));
    await eventually(() => expect(bus.trouble()).toMatch(/jetstream/i));
    abort.abort();
    await waiting;
    await bus.close();
  });

  test('a server that has room for the queue no longer makes `run` wait and says why', async () => {
    const { url } = await startWith('jetstream: { max_file_store: 100M }');
    const bus = await connect(url);
    const abort = new AbortController();
    const waiting = expectCode('STOPPED', bus.jobs.run(newJob(), { signal: abort.signal }));
    await eventually(() => expect(bus.trouble()).toMatch(/storage/));
    abort.abort();
    await waiting;
    await bus.close();
  });

  test('a network’s streams are named after it', async () => {
    const { url } = await start();
    const bus = await connect(url);
    await bus.jobs.depth('replay');
    const client = await connectClient({ servers: url });
    const { streams } = await jetstreamManager(client);
    const names = [];
    for await (const { config } of streams.list()) names.push(config.name);
    expect(names.toSorted()).toEqual(
      ['dead', 'evaluate', 'proofs', 'replay', 'results', 'train'].map(
        (name) => `grail-${NAMESPACE}-${name}`,
      ),
    );
    await client.close();
    await bus.close();
  });
});

/** A server's configuration for users with signed credentials, and those of one (docs.nats.io, JWT). */
function operatorMode(): { config: string; credentials: string } {
  const [operator, account, system] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createAccount()];
  const user = nkeys.createUser();
  const token = (issuer: nkeys.KeyPair, subject: nkeys.KeyPair, name: string, nats: object) => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = {
      jti: name,
      iat: 1_700_000_000,
      iss: issuer.getPublicKey(),
      name,
      sub: subject.getPublicKey(),
      nats,
    };
    const text = `${part({ typ: 'JWT', alg: 'ed25519-nkey' })}.${part(claims)}`;
    return `${text}.${Buffer.from(issuer.sign(Buffer.from(text))).toString('base64url')}`;
  };
  const unlimited = { subs: -1, data: -1, payload: -1 };
  const limits = {
    ...{ ...unlimited, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 },
    ...{ mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 },
  };
  const accountToken = token(operator, account, 'grail', { type: 'account', version: 2, limits });
  const systemLimits = { ...limits, mem_storage: 0, disk_storage: 0, streams: 0, consumer: 0 };
  const systemToken = token(operator, system, 'system', {
    type: 'account',
    version: 2,
    limits: systemLimits,
  });
  const userToken = token(account, user, 'verifier', { type: 'user', version: 2, ...unlimited });
  const seed = new TextDecoder().decode(user.getSeed());
  return {
    config: `
      operator: ${token(operator, operator, 'operator', { type: 'operator', version: 2 })}
      system_account: ${system.getPublicKey()}
      resolver: MEMORY
      resolver_preload: { ${account.getPublicKey()}: ${accountToken}, ${system.getPublicKey()}: ${systemToken} }`,
    credentials: [
      ...['-----BEGIN NATS USER JWT-----', userToken, '------END NATS USER JWT------'],
      ...['-----BEGIN USER NKEY SEED-----', seed, '------END USER NKEY SEED------', ''],
    ].join('\n'),
  };
}
