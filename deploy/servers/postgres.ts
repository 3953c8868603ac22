import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { GrailError } from '../../src/protocol/errors.ts';
import { serverFolder } from './folder.ts';
import { freePort, pathOf, type ServerProcess, startServer } from './process.ts';
import { besidePostgres, postgres } from './programs.ts';

/** A PostgreSQL server of its own, on a port of this machine. */
export interface PostgresServer {
  readonly port: number;
  readonly pid: number;
  /** Resolves when it has ended, with the reason. */
  ended(): Promise<string>;
  /** Makes a database where there is none of the name, and gives its URL with the password, the same after a restart. */
  createDatabase(name?: string): Promise<string>;
  /** Ends all of its processes at once; what they had given to the operating system stays. */
  kill(): Promise<void>;
  /** Starts it again after `kill`. */
  start(): Promise<void>;
  /** Lets it stand still, as behind a network that is cut, and go on. */
  freeze(frozen: boolean): void;
  /** Ends it, and removes a folder that was not given. */
  stop(): Promise<void>;
}

export interface PostgresOptions {
  /** Where it keeps its data for the next start; a folder of its own unless given. */
  readonly folder?: string;
  /** A free one unless given. */
  readonly port?: number;
  /** Of its superuser. Drawn at random, and kept in the folder, unless given. */
  readonly password?: string;
  /** Whether commits wait for the disk. */
  readonly fsync?: boolean;
  /** Its environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** The superuser of these servers. */
const USER = 'grail';

/** PostgreSQL refuses root: there it runs as a user who owns nothing. */
function owner(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** @throws GrailError CHILD_FAILED with what the server said, when it does not start */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const path = pathOf(postgres);
  const user = owner();
  const folder = serverFolder('postgres', options.folder ?? null);
  if (user.uid !== undefined) chownSync(folder.path, user.uid, user.gid!);
  const spawning = {
    ...user,
    cwd: folder.path,
    ...(options.env && { env: { ...process.env, ...options.env } }),
  };
  const data = join(folder.path, 'data');
  const passwordFile = join(folder.path, 'password');
  if (!existsSync(passwordFile)) {
    writeFileSync(passwordFile, options.password ?? randomBytes(16).toString('hex'), { mode: 0o600 });
    if (user.uid !== undefined) chownSync(passwordFile, user.uid, user.gid!);
  }
  const password = readFileSync(passwordFile, 'utf8');
  if (!existsSync(join(data, 'PG_VERSION'))) initialise(data, passwordFile, spawning);
  const port = options.port ?? (await freePort());
  const fsync = (options.fsync ?? true) ? 'on' : 'off';
  const run = () =>
    startServer(
      path,
      ['-D', data, '-h', '127.0.0.1', '-p', String(port), '-k', folder.path, '-c', `fsync=${fsync}`],
      /database system is ready to accept connections/,
      spawning,
    );
  let server: ServerProcess = await run();
  let databases = 0;
  const urlOf = (database: string) => `postgres://${USER}:${password}@127.0.0.1:${port}/${database}`;
  return {
    port,
    get pid() {
      return server.pid;
    },
    ended: () => server.ended,
    async createDatabase(name = `ledger${databases++}`) {
      const there = await runSql(urlOf('postgres'), `SELECT 1 FROM pg_database WHERE datname = '${name}'`);
      if (there.length === 0) await runSql(urlOf('postgres'), `CREATE DATABASE ${name}`);
      return urlOf(name);
    },
    async kill() {
      signalAll(server.pid, 'SIGKILL');
      await server.kill();
    },
    async start() {
      server = await run();
    },
    freeze: (frozen) => signalAll(server.pid, frozen ? 'SIGSTOP' : 'SIGCONT'),
    async stop() {
      if (options.folder === undefined) signalAll(server.pid, 'SIGKILL');
      // Its fast shutdown: connections are ended, what is committed is written.
      else await server.kill('SIGINT');
      await server.ended;
      folder.remove();
    },
  };
}

/** Runs statements in a connection of their own, and gives the rows of the last. */
export async function runSql(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new Client(url);
  await client.connect();
  try {
    const results = [await client.query(text)].flat();
    return results.at(-1)!.rows;
  } finally {
    await client.end();
  }
}

/** Makes the server's files. @throws GrailError CHILD_FAILED */
function initialise(data: string, passwordFile: string, spawning: Parameters<typeof spawnSync>[2]): void {
  const { status, stderr, error } = spawnSync(
    besidePostgres('initdb'),
    [
      ...['--pgdata', data, '--username', USER, '--auth', 'scram-sha-256', '--pwfile', passwordFile],
      ...['--encoding', 'UTF8', '--locale', 'C', '--no-sync'],
    ],
    { ...spawning, encoding: 'utf8' },
  );
  if (status === 0) return;
  throw new GrailError('CHILD_FAILED', `initdb failed: ${error?.message ?? stderr}`, {
    action:
      'a folder of root is not reached by the user that PostgreSQL runs as: choose one below /srv or /var/lib',
  });
}

/** Signals the server and its children, which serve one connection each. */
function signalAll(pid: number, signal: NodeJS.Signals): void {
  const { error, stdout } = spawnSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' });
  if (error !== undefined) throw error;
  const children = stdout.split('\n').map(Number).filter(Boolean);
  for (const each of [pid, ...children]) {
    try {
      process.kill(each, signal);
    } catch {
      // It has just ended.
    }
  }
}
