import { spawnSync } from 'node:child_process';
import { arch, availableParallelism, cpus, release, totalmem } from 'node:os';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  /** `name, driver` of each GPU, as nvidia-smi says them; null where there is no nvidia-smi. */
  readonly nvidiaSmi: readonly string[] | null;
}

export function describeMachine(): Machine {
  const query = ['--query-gpu=name,driver_version', '--format=csv,noheader'];
  const { status, stdout } = spawnSync('nvidia-smi', query, { encoding: 'utf8', timeout: 30_000 });
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${release()} ${arch()}`,
    node: process.versions.node,
    nvidiaSmi: status === 0 ? stdout.trim().split('\n') : null,
  };
}
