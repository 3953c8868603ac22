import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CHEATS, type CheatKind } from '../../rollouts/cheats.ts';
import type { Hex } from '../../src/protocol/bytes.ts';
import type { AuditReport } from '../../src/replica/audit.ts';
import type { VerdictBody } from '../../src/replica/bodies.ts';
import { type GrailProcess, killAll } from '../helpers/grail-process.ts';
import { auditFolder, LiveNetwork, verdictsOf } from '../helpers/live-network.ts';

/** One honest miner among cheats, each a process of its own, until each cheat was told its code. */
class Den {
  readonly kinds: readonly CheatKind[];
  #network!: LiveNetwork;
  verifier!: GrailProcess;
  honest!: GrailProcess;
  readonly cheats = new Map<CheatKind, GrailProcess>();
  report!: AuditReport;
  verdicts!: VerdictBody[];

  constructor(kinds: readonly CheatKind[]) {
    this.kinds = kinds;
  }

  async run(seed: number, waits: boolean): Promise<void> {
    this.#network = await LiveNetwork.make({ seed, miners: this.kinds.length + 1 });
    const before = performance.now();
    this.verifier = await this.#network.verifier();
    this.honest = this.#network.miner(0);
    await this.honest.line(/"enrolled"/);
    if (waits) {
      // Phases must time out soon, but not before an honest miner on a machine this busy can have delivered.
      const phaseTimeout = Math.min(60, Math.max(8, (3 * (performance.now() - before)) / 1000));
      await this.verifier.stop();
      this.verifier = await this.#network.verifier({ phaseTimeout });
    }
    for (const [i, kind] of this.kinds.entries()) this.cheats.set(kind, this.#network.miner(i + 1, kind));
    await Promise.all(
      this.kinds.map(async (kind) => {
        await this.cheats.get(kind)!.line(new RegExp(CHEATS[kind]));
        await this.verifier.until(() => this.told(kind) !== undefined, `${kind} was not told`);
      }),
    );
    // What is at the gate only is judged with its window.
    const verdicts = this.verifier.err.filter((line) => /: verdict/.test(line)).length;
    await this.verifier.until(
      () => this.verifier.err.filter((line) => /: verdict/.test(line)).length > verdicts,
      'no verdict after the last rejection',
    );
    await this.verifier.stop();
    this.verdicts = verdictsOf(this.#network.entries());
    await killAll();
    this.report = await auditFolder(this.#network.directory);
  }

  address(kind: CheatKind | 'honest'): Hex {
    return this.#network.addresses[kind === 'honest' ? 0 : this.kinds.indexOf(kind) + 1]!;
  }

  /** The line in which the verifier's terminal names a cheat with its code. */
  told(kind: CheatKind): string | undefined {
    return this.verifier.err.find(
      (line) => line.startsWith('warn') && line.includes(this.address(kind)) && line.includes(CHEATS[kind]),
    );
  }

  remove(): void {
    this.#network?.remove();
  }
}

/** Cheats that refuse to deliver are kept apart: a phase waits for them until its time is over. */
const dens: [what: string, den: Den, seed: number, waits: boolean][] = [
  [
    'cheats that deliver',
    new Den([
      'random-policy',
      'stale-policy',
      'best-of-n',
      'flip-one-action',
      'two-commits',
      'forge-opening',
      'replay-proof',
    ]),
    11,
    false,
  ],
  [
    'cheats that leave the others waiting',
    new Den(['short-commit', 'unenrolled', 'withhold-proof', 'late-commit', 'bad-signature', 'minus-128']),
    12,
    true,
  ],
];

test('every cheat is in one of the networks', () => {
  expect(dens.flatMap(([, { kinds }]) => kinds).sort()).toEqual(Object.keys(CHEATS).sort());
});

describe.each(dens)('%s', (_what, den, seed, waits) => {
  beforeAll(() => den.run(seed, waits), 600_000);
  afterAll(async () => {
    await killAll();
    den.remove();
  });

  test.each(den.kinds.map((kind) => [kind, CHEATS[kind]]))('%s is caught as %s', (kind, code) => {
    expect(den.told(kind)).toContain(code);
    const cheat = den.cheats.get(kind)!;
    expect(cheat.log).toMatch(new RegExp(`(rejected|refused the \\w+): ${code}`));
    const rejections = cheat.events.filter(({ event }) => event === 'rejected');
    const codes = rejections.map((rejection) => rejection.code);
    expect(codes).toContain(code);
    // What follows from it: nothing counted that could be opened or proven, or nobody waited for it any more.
    const consequences = [code, 'COMMIT_MISSING', 'OPENING_MISSING', 'PHASE_CLOSED'];
    expect(codes.filter((told) => !consequences.includes(String(told)))).toEqual([]);
  });

  test.each(den.kinds)('%s is credited nothing in a window in which it cheated', (kind) => {
    const cheat = den.cheats.get(kind)!;
    const windows = cheat.events.filter(({ event }) => event === 'rejected').map(({ window }) => window);
    for (const { window, results } of den.verdicts) {
      if (!windows.includes(window)) continue;
      const result = results.find(({ miner }) => miner === den.address(kind));
      if (kind === 'unenrolled') expect(result).toBeUndefined();
      else expect(result).toMatchObject({ credit: 0, rejection: { code: expect.any(String) } });
    }
  });

  test('the honest miner is credited in every window, and never rejected', () => {
    expect(den.verdicts.length).toBeGreaterThan(0);
    for (const { results } of den.verdicts) {
      const result = results.find(({ miner }) => miner === den.address('honest'));
      expect(result).toMatchObject({ rejection: null, trained: true });
      expect(result!.credit).toBeGreaterThan(0);
    }
    expect(den.honest.events.filter(({ event }) => event === 'rejected')).toEqual([]);
    expect(den.verifier.log).not.toContain(`rejected ${den.address('honest')}`);
  });

  test('the audit finds no divergence', () => {
    expect(den.report.divergence).toBeNull();
    expect(den.report.rejections).toBeGreaterThan(0);
  });
});
