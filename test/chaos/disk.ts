import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { codeOf } from './examine.ts';
import type { Network } from './network.ts';
import type { Outcome, Run } from './outcome.ts';
import { type FileSystem, OwnDisk } from './own-disk.ts';
import { type Disturbance, runPart } from './part.ts';
import { readiness } from './readiness.ts';
import { OneProcess } from './side.ts';

/** A disk that is full, then one that is read-only when the verifier starts. */
export function runFullDisk(run: Run): Promise<Outcome> {
  return onDisk('disk, full and read-only', 'tmpfs', run, async (network, disk, told) => {
    let mark = network.mark;
    disk.fill();
    told.count('disk full');
    await saysSo(network, mark, told);
    mark = network.mark;
    disk.free();
    await network.line(/takes entries again/, mark);
    await network.verdicts(2);
    told.observe('with room again it went on by itself');

    const { verifier } = network.side;
    await verifier.kill();
    disk.readOnly(true);
    told.count('disk read-only at the start');
    await verifier.launch();
    const end = await network.nextEnd('verifier');
    disk.readOnly(false);
    if (codeOf(end) !== 'STORAGE_UNAVAILABLE') {
      told.found('says', `on a read-only disk it ended with ${codeOf(end)}: ${end.last.join(' | ')}`);
    }
    told.observe(
      'started on a read-only disk it ends with STORAGE_UNAVAILABLE, and goes on once that is mended',
    );
    await network.verdicts(1);
  });
}

/** A disk that the kernel makes read-only while the verifier writes. */
export function runFailingDisk(run: Run): Promise<Outcome> {
  return onDisk('disk, an error of the file system', 'ext4', run, async (network, disk, told) => {
    const mark = network.mark;
    disk.fail();
    told.count('error of the file system');
    await saysSo(network, mark, told);
    const { verifier } = network.side;
    await verifier.kill();
    disk.repair();
    await verifier.launch();
    await network.verdicts(2);
    told.observe('after e2fsck, a new mount and a restart it went on');
  });
}

async function onDisk(
  part: string,
  fileSystem: FileSystem,
  run: Run,
  disturb: (network: Network<OneProcess>, disk: OwnDisk, told: Disturbance) => Promise<void>,
): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'grail-disk-'));
  const disk = await OwnDisk.mount(folder, fileSystem);
  try {
    const { inside, wrapper } = disk;
    return await runPart(
      {
        part,
        make: (options) => new OneProcess({ ...options, disk: { inside, wrapper } }),
        disturb: (network, told) => disturb(network, disk, told),
      },
      run,
    );
  } finally {
    await disk.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Waits until the verifier has noticed, and looks at what it says. */
async function saysSo(network: Network<OneProcess>, mark: number, told: Disturbance): Promise<void> {
  const { line } = await network.line(/nothing can be stored/, mark);
  told.observe(`log: ${line.replaceAll(/\S*grail-disk-\w+/g, '…').slice(0, 140)}`);
  const [url] = network.side.urls();
  const { status, failing } = await readiness(url!);
  if (status !== 503 || !failing.includes('storage')) {
    told.found('says', `/readyz answers ${status} with ${failing.join(', ') || 'nothing'} failing`);
  }
  told.observe('/readyz: 503, storage');
}
