import { createServer, type Server } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { toHex } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { openBlobStore } from '../../src/storage/open-storage.ts';
import { parseS3Url, S3BlobStore, type S3Limits } from '../../src/storage/s3/index.ts';
import { type BlobPlace, cachedPlace, describeBlobStore, listed } from '../helpers/blob-store-compliance.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { type FaultyProxy, startFaultyProxy } from '../support/faulty-proxy.ts';
import { BUCKET, S3_CREDENTIALS, type S3Server, startS3 } from '../support/s3.ts';

let server: S3Server;
let proxy: FaultyProxy;
let places = 0;
const bytes = Uint8Array.of(1, 2, 3, 4);
const hash = toHex(sha256(bytes));

/** Short waits, for a server that is on the same machine. */
const QUICK: Partial<S3Limits> = { connectMs: 1_000, idleMs: 300, deadlineMs: 20_000 };

beforeAll(async () => {
  server = await startS3();
  proxy = await startFaultyProxy(server.endpoint);
});
afterAll(async () => {
  await proxy.stop();
  await server.stop();
});
beforeEach(() => {
  for (const [name, value] of Object.entries(S3_CREDENTIALS)) vi.stubEnv(name, value);
  places += 1;
});
afterEach(() => {
  vi.unstubAllEnvs();
  proxy.behaviour = (_asked, _answer, forward) => forward();
  proxy.requests = 0;
  proxy.bytes = 0;
});

/** A prefix that is this test’s alone. */
const prefix = () => `networks/${places}`;
const urlOf = (endpoint: string, path = prefix()) =>
  `s3://${BUCKET}/${path}?endpoint=${endpoint}&forcePathStyle=true`;
const open = (url: string, limits?: Partial<S3Limits>) => S3BlobStore.open(parseS3Url(url), limits);

async function s3Place(): Promise<BlobPlace> {
  return {
    open: (options) => open(urlOf(server.endpoint), options),
    write: (name, content) => server.write(`${prefix()}/${name}`, content),
    remove: async () => {},
  };
}

describeBlobStore('a bucket of blobs', s3Place);
describeBlobStore('a cache before a bucket of blobs', () => cachedPlace(s3Place()));

describe('a bucket', () => {
  test('is opened by its URL', async () => {
    const store = await openBlobStore(urlOf(server.endpoint));
    await store.put(bytes);
    expect(await (await open(urlOf(server.endpoint))).get(hash)).toEqual(bytes);
  });

  test('holds several stores under prefixes that do not see each other, be one the beginning of the other', async () => {
    const [a, b] = [await open(urlOf(server.endpoint)), await open(urlOf(server.endpoint, `${prefix()}0`))];
    await b.put(bytes);
    expect(await a.has(hash)).toBe(false);
    expect(await listed(a)).toEqual([]);
    expect(await listed(b)).toHaveLength(1);
  });

  test('is listed page by page, in the order of names', async () => {
    const names = Array.from({ length: 2_345 }, (_, i) => toHex(sha256(Uint8Array.of(i, i >> 8))).slice(2));
    for (const name of names) await server.write(`${prefix()}/${name}`, bytes);
    const store = await open(urlOf(proxy.endpoint));
    proxy.requests = 0;
    expect((await listed(store)).map(({ name }) => name)).toEqual(names.sort());
    expect(proxy.requests).toBe(3);
  });

  test('gets a large blob at once, without being asked for leave', async () => {
    const store = await open(urlOf(proxy.endpoint));
    const expectations: unknown[] = [];
    proxy.behaviour = (asked, _answer, forward) => {
      expectations.push(asked.headers.expect);
      forward();
    };
    await store.put(new Uint8Array(3_000_000));
    expect(expectations).toEqual([undefined]);
  });

  test('that refuses to delete what is not there changes nothing either', async () => {
    const store = await open(urlOf(proxy.endpoint));
    proxy.behaviour = (_asked, answer) => answer.writeHead(404).end('<Error><Code>NoSuchKey</Code></Error>');
    await store.delete(hash);
  });

  test('does not show the empty objects that stand for folders', async () => {
    await server.write(`${prefix()}/folder/`, bytes);
    await server.write(`${prefix()}/other`, bytes);
    expect(await listed(await open(urlOf(server.endpoint)))).toEqual([{ name: 'other', hash: null }]);
  });

  test('does not send a huge object under a blob’s name to the end', async () => {
    await server.write(`${prefix()}/${hash.slice(2)}`, new Uint8Array(50_000_000));
    const store = await open(urlOf(proxy.endpoint), { maxBytes: 1_000_000 });
    await expectCode('BLOB_CORRUPT', store.get(hash));
    expect(proxy.bytes).toBeLessThan(10_000_000);
  });

  test('that never ends an object of no announced length is cut off at the limit', async () => {
    const store = await open(urlOf(proxy.endpoint), { maxBytes: 1_000_000 });
    proxy.behaviour = (_asked, answer) => {
      answer.writeHead(200);
      const more = () => {
        while (answer.write(new Uint8Array(65_536)));
      };
      answer.on('drain', more);
      more();
    };
    await expectCode('BLOB_CORRUPT', store.get(hash));
  });
});

describe('a server that fails', () => {
  test('with 503 twice is asked again, and nobody notices', async () => {
    const store = await open(urlOf(proxy.endpoint));
    for (const action of [() => store.put(bytes), () => store.get(hash), () => store.has(hash)]) {
      let failures = 2;
      proxy.behaviour = (_asked, answer, forward) => {
        failures -= 1;
        if (failures < 0) forward();
        else answer.writeHead(503).end();
      };
      await action();
      expect(failures).toBe(-1);
    }
    expect(await store.get(hash)).toEqual(bytes);
  });

  test.each([500, 503])(
    'with %i always is asked four times, and said to be unavailable with a status',
    async (status) => {
      const store = await open(urlOf(proxy.endpoint));
      proxy.behaviour = (_asked, answer) => answer.writeHead(status).end();
      for (const action of [() => store.put(bytes), () => store.get(hash), () => store.delete(hash)]) {
        proxy.requests = 0;
        const error = await expectCode('STORAGE_UNAVAILABLE', action);
        expect(error.details).toMatchObject({ status, place: expect.stringContaining(`s3://${BUCKET}/`) });
        expect(proxy.requests).toBe(4);
      }
    },
  );

  test('by cutting the connection before it has stored is asked again', async () => {
    const store = await open(urlOf(proxy.endpoint));
    proxy.behaviour = (asked, _answer, forward) => {
      if (proxy.requests > 2) forward();
      else asked.socket.destroy();
    };
    proxy.requests = 0;
    await store.put(bytes);
    expect(proxy.requests).toBe(3);
    expect(await store.get(hash)).toEqual(bytes);
  });

  test('by cutting the connection after it has stored is asked again, and has the blob once', async () => {
    const store = await open(urlOf(proxy.endpoint));
    let cuts = 1;
    proxy.behaviour = (asked, _answer, forward) => {
      cuts -= 1;
      if (cuts < 0) forward();
      else forward((from) => from.resume().on('end', () => asked.socket.destroy()));
    };
    await store.put(bytes);
    expect(cuts).toBe(-1);
    expect(await listed(store)).toEqual([{ name: hash.slice(2), hash }]);
  });

  test('in the middle of a body is unavailable, and gives the blob the next time', async () => {
    const large = new Uint8Array(2_000_000).fill(7);
    const store = await open(urlOf(proxy.endpoint));
    const name = await store.put(large);
    proxy.behaviour = (asked, answer, forward) =>
      forward((from) => {
        answer.writeHead(from.statusCode!, from.headers);
        from.once('data', (chunk: Buffer) => answer.write(chunk, () => asked.socket.destroy()));
      });
    await expectCode('STORAGE_UNAVAILABLE', store.get(name));
    proxy.behaviour = (_asked, _answer, forward) => forward();
    expect(Buffer.compare(await store.get(name), large)).toBe(0);
  });

  test('by answering fewer bytes than it announced never gives half a blob', async () => {
    const store = await open(urlOf(proxy.endpoint), QUICK);
    await store.put(bytes);
    proxy.behaviour = (_asked, answer) => {
      answer.writeHead(200, { 'content-length': 4 });
      answer.write(bytes.subarray(0, 2));
    };
    await expectCode('STORAGE_UNAVAILABLE', store.get(hash));
  });

  test('by silence is given up after the time that a connection may be idle', async () => {
    const store = await open(urlOf(proxy.endpoint), { ...QUICK, attempts: 2 });
    proxy.behaviour = () => {};
    const error = await expectCode('STORAGE_UNAVAILABLE', store.get(hash));
    expect(error.message).toContain('did not answer in time');
    proxy.behaviour = (_asked, _answer, forward) => forward();
    await store.put(bytes);
    expect(await store.get(hash)).toEqual(bytes);
  });

  test('by sending a byte now and then is given up at the deadline of the whole', async () => {
    const store = await open(urlOf(proxy.endpoint), { ...QUICK, deadlineMs: 1_000 });
    proxy.behaviour = (_asked, answer) => {
      answer.writeHead(200, { 'content-length': 1_000_000 });
      const drip = setInterval(() => answer.write('x'), 50);
      answer.on('close', () => clearInterval(drip));
    };
    await expectCode('STORAGE_UNAVAILABLE', store.get(hash));
  });

  test('by dying in the middle has everything that it acknowledged when it is back', async () => {
    const mortal = await startS3();
    try {
      const store = await open(urlOf(mortal.endpoint), { ...QUICK, attempts: 2 });
      const acknowledged: Uint8Array[] = [];
      const failed: string[] = [];
      const writing = (async () => {
        for (let i = 0; failed.length === 0; i++) {
          const blob = new Uint8Array(20_000).fill(i % 251, i % 7);
          await store.put(blob).then(
            () => acknowledged.push(blob),
            (error) => failed.push(error.code),
          );
        }
      })();
      await expect.poll(() => acknowledged.length).toBeGreaterThan(20);
      await mortal.kill();
      await writing;
      expect(failed).toEqual(['STORAGE_UNAVAILABLE']);
      await expectCode('STORAGE_UNAVAILABLE', store.get(hash));
      await mortal.start();
      for (const blob of acknowledged) {
        expect(Buffer.compare(await store.get(toHex(sha256(blob))), blob)).toBe(0);
      }
      await store.put(bytes);
      expect(await store.get(hash)).toEqual(bytes);
    } finally {
      await mortal.stop();
    }
  });
});

describe('what an operator has to mend is said', () => {
  test('a bucket that is not there', async () => {
    const url = urlOf(server.endpoint).replace(BUCKET, 'another-bucket');
    const error = await expectCode('STORAGE_UNAVAILABLE', open(url));
    expect(error.message).toContain('s3://another-bucket/');
    expect(error.message).toContain('no such bucket');
  });

  test('a key that the server does not know', async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'SOMEBODY');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'hush-hush');
    const error = await expectCode('STORAGE_UNAVAILABLE', open(urlOf(server.endpoint)));
    expect(error.message).toContain('AWS_ACCESS_KEY_ID');
    expect(JSON.stringify(error)).not.toContain('hush-hush');
  });

  test('no credentials anywhere', async () => {
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE'])
      vi.stubEnv(name, undefined);
    vi.stubEnv('AWS_CONFIG_FILE', '/dev/null');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/dev/null');
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    const error = await expectCode('STORAGE_UNAVAILABLE', open(urlOf(server.endpoint)));
    expect(error.message).toContain('there are no credentials');
  });

  test('no region where AWS itself is meant', async () => {
    vi.stubEnv('AWS_REGION', undefined);
    vi.stubEnv('AWS_CONFIG_FILE', '/dev/null');
    const error = await expectCode('STORAGE_UNAVAILABLE', open(`s3://${BUCKET}/x`));
    expect(error.message).toContain('no region is set');
  });

  test('a right that is denied, also where the answer has no body', async () => {
    const store = await open(urlOf(proxy.endpoint));
    proxy.behaviour = (_asked, answer) => answer.writeHead(403).end();
    const large = new Uint8Array(3_000_000);
    for (const action of [() => store.has(hash), () => store.get(hash), () => store.put(large)]) {
      const error = await expectCode('STORAGE_UNAVAILABLE', action);
      expect(error.message).toContain('s3:ListBucket');
    }
  });

  test.each([
    ['of a bucket', 'NoSuchBucket'],
    ['of a user', 'NoSuchUser'],
    ['of a proxy', null],
  ])('a 404 %s is not taken for a missing blob', async (_, code) => {
    const store = await open(urlOf(proxy.endpoint));
    proxy.behaviour = (_asked, answer) => {
      answer.writeHead(404).end(code === null ? 'not here' : `<Error><Code>${code}</Code></Error>`);
    };
    await expectCode('STORAGE_UNAVAILABLE', store.get(hash));
  });

  test('a server that is not up, and one that hangs up at once', async () => {
    const hangUp: Server = createServer((socket) => socket.destroy());
    const port = await new Promise<number>((resolve) =>
      hangUp.listen(0, '127.0.0.1', () => resolve((hangUp.address() as { port: number }).port)),
    );
    const url = urlOf(`http://127.0.0.1:${port}`);
    await expectCode('STORAGE_UNAVAILABLE', open(url, QUICK));
    await new Promise((resolve) => hangUp.close(resolve));
    const error = await expectCode('STORAGE_UNAVAILABLE', open(url, QUICK));
    expect(error.details.reason).toContain('ECONNREFUSED');
  });
});
