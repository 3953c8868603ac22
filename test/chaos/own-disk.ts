import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { basename, join } from 'node:path';

const TMPFS_MIB = 32;
const IMAGE_BYTES = 67_108_864;

export type FileSystem = 'tmpfs' | 'ext4';

/**
 * A small disk that can be filled, set read-only and broken. It is mounted in a name space of its own, which ends with
 * this process: nobody else on the machine sees it.
 */
export class OwnDisk {
  /** Where it is mounted, for processes that run in its name space. */
  readonly inside: string;
  readonly #fileSystem: FileSystem;
  readonly #image: string;
  readonly #keeper: ChildProcess;

  private constructor(inside: string, fileSystem: FileSystem, image: string, keeper: ChildProcess) {
    this.inside = inside;
    this.#fileSystem = fileSystem;
    this.#image = image;
    this.#keeper = keeper;
  }

  /** Why this user cannot mount one here, or null. */
  static missing(fileSystem: FileSystem): string | null {
    if (process.platform !== 'linux') return 'it takes name spaces of mounts, as Linux has them';
    if (fileSystem === 'ext4' && process.getuid?.() !== 0) return 'only root mounts an image of a disk';
    const probe = spawnSync('unshare', [...unshare(), 'true']);
    return probe.status === 0 ? null : 'this user may not make a name space (unshare)';
  }

  /** @throws Error with what mount said */
  static async mount(folder: string, fileSystem: FileSystem): Promise<OwnDisk> {
    const inside = join(folder, 'disk');
    const image = join(folder, 'disk.img');
    mkdirSync(inside);
    if (fileSystem === 'ext4') {
      writeFileSync(image, '');
      truncateSync(image, IMAGE_BYTES);
      run('mkfs.ext4', ['-q', image]);
    }
    const keeper = spawn('unshare', [...unshare(), 'sh', '-c', 'echo here && exec cat'], {
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    });
    await once(keeper.stdout!, 'data');
    const disk = new OwnDisk(inside, fileSystem, image, keeper);
    disk.mount();
    return disk;
  }

  /** Runs a program where the disk is mounted. */
  get wrapper(): readonly string[] {
    const user = isRoot() ? [] : ['--user', '--preserve-credentials'];
    return ['nsenter', '--target', String(this.#keeper.pid), '--mount', ...user];
  }

  /** The same folder as `inside`, seen from here. */
  get #outside(): string {
    return `/proc/${this.#keeper.pid}/root${this.inside}`;
  }

  /** Takes all space that is left. */
  fill(): void {
    const file = openSync(join(this.#outside, 'filler'), 'w');
    try {
      for (const size of [1_048_576, 4_096, 1]) writeAll(file, new Uint8Array(size).fill(1));
    } finally {
      closeSync(file);
    }
  }

  /** Gives the space back. */
  free(): void {
    rmSync(join(this.#outside, 'filler'));
  }

  /** Remounts it; nothing may have it open for writing. */
  readOnly(only: boolean): void {
    this.#inside('mount', '-o', `remount,${only ? 'ro' : 'rw'}`, this.inside);
  }

  /** Lets the kernel find an error on it, after which it takes no writes. Of ext4 alone. */
  fail(): void {
    const device = this.#inside('findmnt', '-no', 'SOURCE', this.inside).trim();
    writeFileSync(`/sys/fs/ext4/${basename(device)}/trigger_fs_error`, '1');
  }

  /** Repairs it and mounts it anew; nothing may use it. */
  repair(): void {
    this.#inside('umount', this.inside);
    // 1: errors were corrected.
    run('e2fsck', ['-fp', this.#image], [0, 1]);
    this.mount();
  }

  mount(): void {
    if (this.#fileSystem === 'tmpfs') {
      this.#inside('mount', '-t', 'tmpfs', '-o', `size=${TMPFS_MIB}m`, 'tmpfs', this.inside);
    } else this.#inside('mount', '-o', 'loop,errors=remount-ro', this.#image, this.inside);
  }

  async close(): Promise<void> {
    this.#keeper.stdin!.end();
    await once(this.#keeper, 'exit');
  }

  #inside(...command: string[]): string {
    const [program, ...args] = [...this.wrapper, ...command];
    return run(program!, args);
  }
}

const isRoot = () => process.getuid?.() === 0;

function unshare(): string[] {
  return isRoot() ? ['--mount'] : ['--user', '--map-root-user', '--mount'];
}

function run(program: string, args: readonly string[], good: readonly number[] = [0]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== null && good.includes(status)) return stdout;
  throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr}`);
}

function writeAll(file: number, bytes: Uint8Array): void {
  try {
    for (;;) if (writeSync(file, bytes) < bytes.length) return;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}
