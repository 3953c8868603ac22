import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

/** A program that something needs. */
export interface Program {
  readonly name: string;
  /** Its path, or null when it is not on this machine. */
  find(): string | null;
  /** The Debian package that brings it, unless npm does. */
  readonly debianPackage?: string;
}

/** The first of these paths that is there, or null. */
export const firstOf = (paths: readonly (string | undefined)[]): string | null =>
  paths.find((path) => path !== undefined && existsSync(path)) ?? null;

const onPath = (program: string) =>
  firstOf((process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, program)));

/** Folders in which Debian keeps the programs of its PostgreSQL versions, the newest first. */
function postgresFolders(): string[] {
  const root = '/usr/lib/postgresql';
  if (!existsSync(root)) return [];
  const versions = readdirSync(root).sort((a, b) => Number(b) - Number(a));
  return versions.map((version) => join(root, version, 'bin', 'postgres'));
}

/** The database server. */
export const postgres: Program = {
  name: 'postgres',
  debianPackage: 'postgresql',
  find: () => onPath('postgres') ?? firstOf(postgresFolders()),
};

/** A program of the same version as the database server, such as `initdb`: it lies beside it. */
export function besidePostgres(name: string): string {
  return join(dirname(realpathSync(postgres.find()!)), name);
}

export const natsServer: Program = {
  name: 'nats-server',
  debianPackage: 'nats-server',
  find: () => onPath('nats-server') ?? firstOf(['/usr/sbin/nats-server']),
};

/** Installs what is missing where that needs no questions: as root, with apt. */
export function installMissing(programs: readonly Program[], log: (line: string) => void): void {
  const packages = programs.flatMap((program) =>
    program.debianPackage !== undefined && program.find() === null ? [program.debianPackage] : [],
  );
  if (packages.length === 0 || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return;
  log(`Installing ${packages.join(', ')} with apt …`);
  const apt = (...args: string[]) =>
    spawnSync('apt-get', ['-qq', ...args], {
      stdio: ['ignore', 2, 2],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    }).status === 0;
  if (!apt('update') || !apt('install', '-y', '--no-install-recommends', ...packages)) {
    log('apt failed, see above; what needs these is not run');
  }
}
