import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A disk of 2 MiB, where this user may mount one: in a name space of its own, which ends with the program. */
const mount = (unshare: readonly string[]) => [
  ...unshare,
  ...['sh', '-c', 'mount -t tmpfs -o size=2m tmpfs "$0" && exec "$@"'],
];
/** Files of at most 2 MiB (POSIX counts in 512 bytes): what every user has. */
const LIMIT = ['sh', '-c', 'ulimit -f 4096 && exec "$@"'];

const METHODS: readonly (readonly string[])[] = [
  mount(['unshare', '--mount']),
  mount(['unshare', '--user', '--map-root-user', '--mount']),
  LIMIT,
];

/** What runs a program whose folder takes no more than about 2 MiB, on this machine and as this user. */
function method(folder: string): readonly string[] {
  const works = METHODS.find(
    ([command, ...args]) => spawnSync(command!, [...args, folder, 'true']).status === 0,
  );
  if (works === undefined) throw new Error('neither unshare nor ulimit works here');
  return works;
}

/** Runs a program with a folder of its own on a small disk, given as `FOLDER` among its arguments. */
export function onSmallDisk(command: string, args: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'grail-small-disk-'));
  try {
    const [wrapper, ...wrapperArgs] = method(folder);
    const given = args.map((arg) => arg.replace('FOLDER', folder));
    return spawnSync(wrapper!, [...wrapperArgs, folder, command, ...given], { encoding: 'utf8' });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
