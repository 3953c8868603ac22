import type { LedgerEntry } from '../ledger/entry.ts';
import type { ChallengeBody, FoldBody, OpenBody, VerdictBody } from '../replica/bodies.ts';

/** What one window of a demo came to. Seconds are this process's; everything else is the ledger's. */
export interface WindowReport {
  readonly window: number;
  readonly policyVersion: number;
  readonly rollouts: number;
  readonly steps: number;
  readonly proofs: number;
  readonly rejections: readonly { readonly miner: string; readonly code: string }[];
  readonly patchBytes: number;
  readonly fullBytes: number;
  readonly seconds: {
    readonly enrol: number;
    readonly commit: number;
    readonly opening: number;
    readonly prove: number;
  };
}

const PHASE_OF = { open: 'enrol', challenge: 'commit', fold: 'opening', verdict: 'prove' } as const;

/** Follows a ledger's closing entries and gives a report for each verdict. */
export class WindowReports {
  readonly #stepsPerSlot: number;
  readonly #now: () => number;
  readonly #opened = new Map<number, OpenBody>();
  readonly #began = new Map<string, number>();
  readonly #took = new Map<string, number>();

  /** @param now milliseconds, monotonic */
  constructor(stepsPerSlot: number, now: () => number) {
    this.#stepsPerSlot = stepsPerSlot;
    this.#now = now;
    this.#began.set('0 enrol', now());
  }

  /** @returns the window's report when the entry is its verdict */
  add(entry: LedgerEntry): WindowReport | null {
    const { type } = entry.body;
    if (!(type in PHASE_OF)) return null;
    const body = entry.body as unknown as OpenBody | ChallengeBody | FoldBody | VerdictBody;
    const { window } = body;
    const at = this.#now();
    const phase = PHASE_OF[body.type];
    this.#took.set(`${window} ${phase}`, at - (this.#began.get(`${window} ${phase}`) ?? at));
    if (body.type === 'open') {
      this.#opened.set(window, body);
      this.#began.set(`${window} commit`, at);
      this.#began.set(`${window + 1} enrol`, at);
    } else if (body.type === 'challenge') this.#began.set(`${window} opening`, at);
    else if (body.type === 'fold') this.#began.set(`${window} prove`, at);
    else return this.#report(body);
    return null;
  }

  #report({ window, results, update }: VerdictBody): WindowReport {
    const seconds = (phase: string) => (this.#took.get(`${window} ${phase}`) ?? 0) / 1000;
    const trained = results.filter((result) => result.trained).reduce((sum, { slots }) => sum + slots, 0);
    return {
      window,
      policyVersion: this.#opened.get(window)?.policyVersion ?? 0,
      rollouts: trained,
      steps: trained * this.#stepsPerSlot,
      proofs: results.reduce((sum, { proofs }) => sum + proofs, 0),
      rejections: results.flatMap(({ miner, rejection }) =>
        rejection === null ? [] : [{ miner, code: rejection.code }],
      ),
      patchBytes: update.patch.bytes,
      fullBytes: update.fullBytes,
      seconds: {
        enrol: seconds('enrol'),
        commit: seconds('commit'),
        opening: seconds('opening'),
        prove: seconds('prove'),
      },
    };
  }
}

const COLUMNS: readonly {
  readonly title: string;
  readonly width: number;
  readonly cell: (r: WindowReport, meanReturn: number | null) => string;
}[] = [
  { title: 'window', width: 6, cell: (r) => String(r.window) },
  { title: 'policy', width: 6, cell: (r) => String(r.policyVersion) },
  { title: 'return', width: 7, cell: (_, meanReturn) => returnText(meanReturn) },
  { title: 'rollouts', width: 8, cell: (r) => String(r.rollouts) },
  { title: 'steps', width: 6, cell: (r) => String(r.steps) },
  { title: 'proofs', width: 6, cell: (r) => String(r.proofs) },
  { title: 'rejected', width: 8, cell: (r) => String(r.rejections.length) },
  { title: 'patch / full bytes', width: 20, cell: (r) => `${r.patchBytes} / ${r.fullBytes} ${percent(r)}` },
  { title: 's: enrol', width: 8, cell: (r) => r.seconds.enrol.toFixed(1) },
  { title: 'commit', width: 6, cell: (r) => r.seconds.commit.toFixed(1) },
  { title: 'open', width: 5, cell: (r) => r.seconds.opening.toFixed(1) },
  { title: 'prove', width: 5, cell: (r) => r.seconds.prove.toFixed(1) },
];

/** Small returns are fractions of a task solved: they need the digits. */
const returnText = (mean: number | null) => (mean === null ? '–' : mean.toFixed(Math.abs(mean) < 10 ? 3 : 1));

const percent = (r: WindowReport) => `(${((100 * r.patchBytes) / r.fullBytes).toFixed(0)}%)`;

/** The table's head, one line. */
export function tableHead(): string {
  return COLUMNS.map(({ title, width }) => title.padStart(width)).join('  ');
}

/** One window as a line of the table. @param meanReturn of the policy that it trained, over fresh episodes */
export function tableRow(report: WindowReport, meanReturn: number | null): string {
  return COLUMNS.map(({ cell, width }) => cell(report, meanReturn).padStart(width)).join('  ');
}
