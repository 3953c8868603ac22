import { faketime, runDatabaseClock, runVerifierClock } from './clock.ts';
import { runBus, runDatabase } from './database.ts';
import { runFailingDisk, runFullDisk } from './disk.ts';
import type { Mode } from './kills.ts';
import { runKills } from './kills.ts';
import type { Outcome, Run } from './outcome.ts';
import { OwnDisk } from './own-disk.ts';

/** A part of the program. */
export interface Part {
  readonly name: string;
  readonly kind: 'kills' | 'disk' | 'database' | 'bus' | 'clock';
  readonly mode: Mode;
  /** What this machine lacks for it, or null. */
  readonly missing: () => string | null;
  readonly run: (run: Run, moments: number) => Promise<Outcome>;
}

const nothing = () => null;
const noClock = () => (faketime.find() === null ? 'there is no libfaketime (apt install faketime)' : null);

export const PARTS: readonly Part[] = [
  {
    name: 'kills, one process',
    kind: 'kills',
    mode: 'one',
    missing: nothing,
    run: (run, moments) => runKills('one', moments, run),
  },
  {
    name: 'kills, many processes',
    kind: 'kills',
    mode: 'many',
    missing: nothing,
    run: (run, moments) => runKills('many', moments, run),
  },
  {
    name: 'disk, full and read-only',
    kind: 'disk',
    mode: 'one',
    missing: () => OwnDisk.missing('tmpfs'),
    run: runFullDisk,
  },
  {
    name: 'disk, an error of the file system',
    kind: 'disk',
    mode: 'one',
    missing: () => OwnDisk.missing('ext4'),
    run: runFailingDisk,
  },
  { name: 'database', kind: 'database', mode: 'many', missing: nothing, run: runDatabase },
  { name: 'bus', kind: 'bus', mode: 'many', missing: nothing, run: runBus },
  { name: 'clock of the verifier', kind: 'clock', mode: 'one', missing: noClock, run: runVerifierClock },
  { name: 'clock of the database', kind: 'clock', mode: 'many', missing: noClock, run: runDatabaseClock },
];
