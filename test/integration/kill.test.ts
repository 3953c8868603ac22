import { existsSync, readdirSync, rmSync, watch } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GrailProcess, killAll } from '../helpers/grail-process.ts';
import {
  auditFolder,
  type DoneEvent,
  LiveNetwork,
  roots,
  runsOut,
  verdictsOf,
} from '../helpers/live-network.ts';

/**
 * SIGKILL of the verifier wherever it can be, of a miner in the middle of a window, and loss of the trainer's cache: the
 * run goes on, and ends where an uninterrupted run of the same seed ends.
 */
const SEED = 7;
const WINDOWS = 4;

let steady: LiveNetwork;
let expected: DoneEvent;
let broken: LiveNetwork;

beforeAll(async () => {
  steady = await LiveNetwork.make({ seed: SEED, miners: 2 });
  const verifier = await steady.verifier({ windows: WINDOWS });
  for (const index of [0, 1]) steady.miner(index);
  expected = await runsOut(verifier);
  await killAll();
  broken = await LiveNetwork.make({ seed: SEED, miners: 2 });
}, 400_000);

afterAll(async () => {
  await killAll();
  steady?.remove();
  broken?.remove();
});

/** Resolves when a file whose name matches appears in a folder. */
function fileIn(folder: string, pattern: RegExp): Promise<string> {
  return new Promise((resolve) => {
    const watcher = watch(folder, (_event, name) => {
      if (name === null || !pattern.test(name)) return;
      watcher.close();
      resolve(name);
    });
  });
}

/** Moments of a run of three windows, in their order, and what shows that one has come. */
const moments: [when: string, come: (verifier: GrailProcess) => Promise<unknown>][] = [
  ['in a commit phase', (verifier) => verifier.line(/: enrol closed/)],
  ['in an opening phase', (verifier) => verifier.line(/: commit closed/)],
  ['in a prove phase', (verifier) => verifier.line(/: opening closed/)],
  [
    'between a challenge and a verdict, while a window is judged',
    async (verifier) => {
      await verifier.line(/window 2: commit closed/);
      await new Promise((resolve) => setTimeout(resolve, 100));
    },
  ],
  ['while a blob is written', () => fileIn(broken.directory, /^blobs\.tmp$/)],
  ['while a trainer state is written', () => fileIn(join(broken.directory, 'trainer'), /^3\.state/)],
];

describe('a verifier that is killed', () => {
  const killed: string[] = [];
  let end: DoneEvent;
  let miners: GrailProcess[];

  beforeAll(async () => {
    const start = () => broken.verifier({ windows: WINDOWS - 1 });
    let verifier = await start();
    const again = async (when: string) => {
      const { signal } = await verifier.stop('SIGKILL');
      if (signal === 'SIGKILL') killed.push(when);
      verifier = await start();
    };
    miners = [broken.miner(0)];
    await miners[0]!.line(/"enrolled","window":0/);
    await again('in an enrol phase');
    miners.push(broken.miner(1));
    for (const [when, come] of moments) {
      await come(verifier);
      await again(when);
    }
    end = await runsOut(verifier);
    await verifier.stop();
    await killAll();
  }, 600_000);

  test('was killed at every moment of the list', () => {
    expect(killed).toEqual(['in an enrol phase', ...moments.map(([when]) => when)]);
  });

  test('ends with the policy and trainer state of an uninterrupted run', () => {
    const { update } = verdictsOf(steady.entries())[WINDOWS - 2]!;
    const { version: policyVersion, policyRoot, trainerStateRoot } = update;
    expect(roots(end)).toEqual({ policyVersion, policyRoot, trainerStateRoot });
  });

  test('has lost nothing that it acknowledged', () => {
    const entries = broken.entries();
    const types = { committed: 'commit', opened: 'opening', proved: 'proof' } as const;
    let told = 0;
    for (const [i, miner] of miners.entries()) {
      for (const { event, window, index } of miner.events) {
        if (!Object.hasOwn(types, String(event))) continue;
        told++;
        const type = types[event as keyof typeof types];
        expect(entries[Number(index)]).toMatchObject({ window, author: broken.addresses[i], body: { type } });
      }
      for (const { window } of miner.events.filter(({ event }) => event === 'enrolled')) {
        const enrolled = {
          window,
          author: broken.addresses[i],
          body: expect.objectContaining({ type: 'enrol' }),
        };
        expect(entries).toContainEqual(expect.objectContaining(enrolled));
      }
    }
    // A message whose acknowledgement the kill cut off is told when it is seen in the ledger, or not at all.
    expect(told).toBeGreaterThan(3 * (WINDOWS - 1));
  });

  test('had every miner’s message once, and rejected nobody', () => {
    for (const { results } of verdictsOf(broken.entries())) {
      expect(results.map(({ rejection, trained }) => [rejection, trained])).toEqual([
        [null, true],
        [null, true],
      ]);
    }
    for (const miner of miners) expect(miner.log).not.toMatch(/EQUIVOCATION|rejected/);
  });

  test('leaves a network that audits, with no blob that nobody names and no temporary file', async () => {
    expect(await auditFolder(broken.directory)).toMatchObject({ divergence: null, windows: WINDOWS - 1 });
    expect(existsSync(`${join(broken.directory, 'blobs')}.tmp`)).toBe(false);
    expect(readdirSync(join(broken.directory, 'blobs'))).toHaveLength(WINDOWS);
  });
});

describe('then, a verifier without its trainer state and a miner that is killed', () => {
  let verifier: GrailProcess;
  let victim: GrailProcess;
  let successor: GrailProcess;
  let end: DoneEvent;

  beforeAll(async () => {
    rmSync(join(broken.directory, 'trainer'), { recursive: true });
    verifier = await broken.verifier({ windows: WINDOWS });
    broken.miner(0);
    victim = broken.miner(1);
    await victim.line(/"event":"committed"/);
    await victim.stop('SIGKILL');
    successor = broken.miner(1);
    end = await runsOut(verifier);
    await successor.until(
      () => successor.events.some(({ event }) => event === 'verdict'),
      'the miner did not hear the verdict',
    );
    await verifier.stop();
    await killAll();
  }, 400_000);

  test('train again from the ledger', () => {
    expect(verifier.log).toContain('training again from the ledger');
    expect(verifier.log).toContain('trained window 2 again');
  });

  test('the miner takes up its window where it was: no second commitment, no rejection', () => {
    const { window } = victim.events.find(({ event }) => event === 'committed')!;
    const address = broken.addresses[1];
    const commits = broken
      .entries()
      .filter((entry) => entry.window === window && entry.author === address && entry.body.type === 'commit');
    expect(commits).toHaveLength(1);
    const verdict = successor.events.find(({ event }) => event === 'verdict');
    expect(verdict).toMatchObject({ window, trained: true });
    expect(Number(verdict!.credit)).toBeGreaterThan(0);
    expect(successor.log).not.toMatch(/EQUIVOCATION|rejected/);
  });

  test('end with the policy and trainer state of the uninterrupted run', () => {
    expect(roots(end)).toEqual(roots(expected));
  });

  test('leave a network that audits', async () => {
    expect(await auditFolder(broken.directory)).toMatchObject({ divergence: null, windows: WINDOWS });
  });
});
