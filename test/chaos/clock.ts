import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { firstOf, type Program } from '../../deploy/servers/programs.ts';
import { failOver, runMany } from './database.ts';
import type { Outcome, Run } from './outcome.ts';
import { runPart } from './part.ts';
import { OneProcess } from './side.ts';

const LIBRARIES = '/usr/lib';

/** A library that gives a process another wall clock; `find` gives its path. */
export const faketime: Program = {
  name: 'libfaketime',
  debianPackage: 'faketime',
  find: () =>
    firstOf(
      readdirSync(LIBRARIES)
        .filter((name) => name.endsWith('-linux-gnu'))
        .map((name) => join(LIBRARIES, name, 'faketime', 'libfaketimeMT.so.1')),
    ),
};

/** The wall clock of processes that are started with its environment. Their monotonic clock is the machine's. */
class Clock {
  readonly #folder = mkdtempSync(join(tmpdir(), 'grail-clock-'));
  readonly #file = join(this.#folder, 'offset');

  constructor() {
    // The database server runs as another user.
    chmodSync(this.#folder, 0o755);
    this.set('+0');
  }

  get env(): Readonly<Record<string, string>> {
    return {
      LD_PRELOAD: faketime.find()!,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
  }

  /** How far it is from the machine's, for example `+1d`. */
  set(offset: string): void {
    writeFileSync(this.#file, `${offset}\n`);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }
}

/** The verifier's clock jumps, while windows run. */
export async function runVerifierClock(run: Run): Promise<Outcome> {
  const clock = new Clock();
  try {
    return await runPart(
      {
        part: 'clock of the verifier',
        make: (options) => new OneProcess({ ...options, env: clock.env }),
        disturb: async (network, told) => {
          for (const offset of ['+1d', '+0', '-1d', '+400d', '+0']) {
            clock.set(offset);
            told.count(`to ${offset}`);
            await network.verdicts(1);
          }
          await network.side.verifier.kill();
          clock.set('-1d');
          await network.side.verifier.launch();
          told.count('killed, and started a day before');
          await network.verdicts(1);
        },
      },
      run,
    );
  } finally {
    clock.remove();
  }
}

/** The database's clock jumps, by which leases expire. */
export async function runDatabaseClock(run: Run): Promise<Outcome> {
  const clock = new Clock();
  try {
    return await runMany(
      'clock of the database',
      run,
      async (network, told) => {
        for (const offset of ['+1h', '+0', '-1h', '+1d', '+0']) {
          const before = network.side.holder;
          clock.set(offset);
          told.count(`to ${offset}`);
          await network.verdicts(1);
          const after = network.side.holder;
          told.observe(
            `database's clock to ${offset}: ${after === before ? 'the writer stayed' : 'the standby took over'}`,
          );
        }
        await failOver(network, told);
      },
      { databaseEnv: clock.env },
    );
  } finally {
    clock.remove();
  }
}
