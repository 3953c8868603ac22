import fc from 'fast-check';
import { expect, test } from 'vitest';
import { entryBytes, type LedgerEntry, parseEntry } from '../../src/ledger/entry.ts';
import type { Hex } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import type { Message, MessageOf } from '../../src/protocol/messages.ts';
import { CLOSERS, PHASES } from '../../src/protocol/phases.ts';
import type { CloserBody, VerdictBody } from '../../src/replica/bodies.ts';
import { NetworkState } from '../../src/replica/state.ts';
import { assembleVerdict } from '../../src/replica/verdict.ts';
import type { WindowState } from '../../src/replica/window.ts';
import { windowInput } from '../../src/replica/window-input.ts';
import { KEYS, TestMiner, type TestNetwork, testBeacon, tinyGenesis } from '../helpers/network.ts';
import { oneByOne } from '../helpers/one-by-one.ts';
import { untrained, zeroPolicy } from '../helpers/sequencer.ts';

const RUNS = process.env.GRAIL_LONG ? 400 : 24;
const WINDOWS = 6;
/** Turns within which a network of this size must have ended its windows, whatever the order. */
const PATIENCE = 5_000;

/** A proof filled with this does not verify. */
const FALSE_PROOF = 'bb';
const checkProofs = oneByOne(async (_signals, proof) => {
  if (proof[0] === 0xbb) throw new GrailError('PROOF_INVALID', 'false');
});

/** How a miner conducts itself in a window. Each sends what is listed, in any order that the phases allow. */
const CONDUCTS = [
  'honest',
  'honest',
  'honest',
  'absent',
  'enrols twice',
  'commits twice',
  'opens twice',
  'no commit',
  'no opening',
  'no proof',
  'one proof',
  'false proof',
  'second chance',
] as const;
type Conduct = (typeof CONDUCTS)[number];

/** Numbers below 2^32 that follow from a seed: the driver's dice. */
function dice(seed: number): (sides: number) => number {
  let state = seed >>> 0;
  return (sides) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}

/** A network driven by dice: who sends what, when, how often, and when the verifier closes what it may close. */
class Simulation {
  readonly genesis;
  readonly state: NetworkState;
  readonly entries: LedgerEntry[] = [];
  readonly #roll: (sides: number) => number;
  readonly #miners: TestMiner[];
  readonly #conducts = new Map<string, Conduct>();
  readonly #sent: Message[] = [];

  constructor(lag: number, seed: number) {
    this.genesis = tinyGenesis({ lag, coolDown: 1, emission: 350 });
    this.state = new NetworkState(this.genesis);
    this.#roll = dice(seed);
    // Miners sign for the state's domain and read its policy roots; they need nothing else of a network.
    const network = { state: this.state } as TestNetwork;
    this.#miners = [KEYS.miner, KEYS.other, KEYS.stranger].map((key) => new TestMiner(network, key));
    this.#append(NetworkState.genesisEntry(this.genesis));
  }

  async run(): Promise<void> {
    for (let turn = 0; this.state.nextVerdict < WINDOWS; turn++) {
      if (turn > PATIENCE) throw new Error(`window ${this.state.nextVerdict} never ends`);
      const kind = this.#roll(10);
      if (kind === 0) this.#repeat();
      else if (kind === 1) await this.#closeSomething(true);
      else if (!this.#send() || kind === 2) await this.#closeSomething(false);
    }
  }

  #append(entry: LedgerEntry): void {
    // What is applied is what a ledger gives back.
    this.entries.push(parseEntry(entryBytes(entry)));
    this.state.apply(this.entries.at(-1)!, { signatureChecked: true });
  }

  #conduct(miner: TestMiner, window: number): Conduct {
    const key = `${miner.identity.address} ${window}`;
    const conduct = this.#conducts.get(key) ?? CONDUCTS[this.#roll(CONDUCTS.length)]!;
    this.#conducts.set(key, conduct);
    return conduct;
  }

  /** Everything that a miner wants to have in the ledger and may post now. */
  #wanted(miner: TestMiner, window: WindowState): (() => Message)[] {
    const conduct = this.#conduct(miner, window.window);
    const { address } = miner.identity;
    const w = window.window;
    const missing = <T>(posted: readonly unknown[], list: readonly T[]) =>
      list.slice(posted.length, posted.length + 1);
    const both = (messages: { get(miner: Hex): unknown; conflict(miner: Hex): unknown }) =>
      [messages.get(address), messages.conflict(address)].filter((posted) => posted !== undefined);
    switch (window.phase) {
      case 'enrol': {
        if (conduct === 'absent' || this.state.enrolRefusal(address, w) !== null) return [];
        const slots = 1 + (w % 4);
        const list = [() => miner.enrol(w, slots), () => miner.enrol(w, slots + 1)];
        return missing(both(window.enrolments), list.slice(0, conduct === 'enrols twice' ? 2 : 1));
      }
      case 'commit': {
        if (window.slots(address) === 0 || conduct === 'no commit') return [];
        const actions: Hex = `0x${'00ff'.repeat(window.slots(address))}`;
        const list = ['11', '22'].map(
          (fill) => () => miner.commit(w, { actions, commitRoot: `0x${fill.repeat(32)}` }),
        );
        return missing(both(window.commits), list.slice(0, conduct === 'commits twice' ? 2 : 1));
      }
      case 'opening': {
        if (window.commits.countedOf(address) === undefined || conduct === 'no opening') return [];
        const other: Partial<MessageOf<'opening'>> = { observations: `0x${'01'.repeat(32)}` };
        const list = [() => miner.opening(w), () => miner.opening(w, other)];
        return missing(both(window.openings), list.slice(0, conduct === 'opens twice' ? 2 : 1));
      }
      case 'prove': {
        if (window.openings.countedOf(address) === undefined || conduct === 'no proof') return [];
        return [0, 1].flatMap((part) => {
          if (conduct === 'one proof' && part === 1) return [];
          const posted = window.proofs.get(address)?.[part] ?? [];
          const list = [() => miner.proof(w, part), () => miner.proof(w, part, 'cc')];
          if (conduct === 'false proof') return missing(posted, [() => miner.proof(w, part, FALSE_PROOF)]);
          if (conduct === 'second chance') {
            return missing(posted, [() => miner.proof(w, part, FALSE_PROOF), list[0]!]);
          }
          return missing(posted, list.slice(0, 1));
        });
      }
      case 'done':
        return [];
    }
  }

  /** One message of somebody, if anybody wants to send one. */
  #send(): boolean {
    const wanted = this.#miners.flatMap((miner) => {
      const { address } = miner.identity;
      if (!this.state.miners.has(address)) return [() => miner.register()];
      return [...this.state.windows.values()].flatMap((window) => this.#wanted(miner, window));
    });
    if (wanted.length === 0) return false;
    const message = wanted[this.#roll(wanted.length)]!();
    this.#sent.push(message);
    const admission = this.state.admit(message);
    if (admission.kind === 'duplicate') throw new Error('what is missing cannot be a duplicate');
    this.#append(admission.entry);
    return true;
  }

  /** Anybody may post anything again, at any time: it changes nothing. */
  #repeat(): void {
    if (this.#sent.length === 0) return;
    const message = this.#sent[this.#roll(this.#sent.length)]!;
    try {
      expect(this.state.admit(message).kind).toBe('duplicate');
    } catch (error) {
      if (!(error instanceof GrailError)) throw error;
      expect(['PHASE_CLOSED']).toContain(error.code);
    }
  }

  /** Closes a phase that may be closed: one that nobody is missing in, or, when `early`, any. */
  async #closeSomething(early: boolean): Promise<void> {
    const open = [...this.state.windows.values()].filter((window) => this.#mayClose(window));
    const ready = open.filter((window) => early || !this.#isWaitedFor(window));
    if (ready.length === 0) {
      // With nothing to send and nothing that may be closed, nothing would ever happen again.
      expect(open.length).toBeGreaterThan(0);
      return;
    }
    const window = ready[this.#roll(ready.length)]!;
    const body = await this.#closer(window);
    this.#append({
      window: window.window,
      phase: window.phase as 'enrol',
      view: 0,
      author: KEYS.verifier.address,
      body,
    });
  }

  #isWaitedFor(window: WindowState): boolean {
    return this.#miners.some((miner) => this.#wanted(miner, window).length > 0);
  }

  #mayClose({ window, phase }: WindowState): boolean {
    if (phase === 'enrol') return Math.max(0, window - this.genesis.lag) < this.state.versions.length;
    if (phase === 'commit') return this.state.window(window - 1)?.challenge !== null;
    return phase === 'opening' || (phase === 'prove' && window === this.state.nextVerdict);
  }

  async #closer(window: WindowState): Promise<CloserBody> {
    const number = window.window;
    if (window.phase === 'enrol') return this.state.openBody(await testBeacon().draw(number, 0));
    if (window.phase === 'commit')
      return this.state.challengeBody(number, await testBeacon().draw(number, 1));
    if (window.phase === 'opening') return this.state.foldBody(number, (rho) => rho);
    const policy = zeroPolicy(this.genesis.architecture);
    return assembleVerdict(this.state, window, untrained(policy, windowInput(window)), policy, checkProofs);
  }
}

/** What of a state can be seen from outside. */
function picture(state: NetworkState): unknown {
  return structuredClone({
    size: state.size,
    enrolWindow: state.enrolWindow,
    nextVerdict: state.nextVerdict,
    versions: state.versions,
    miners: [...state.miners],
    proofs: [...state.proofIndex],
    windows: [...state.windows.values()].map((window) => ({
      phase: window.phase,
      open: window.open,
      challenge: window.challenge,
      fold: window.fold,
      enrolled: window.enrolments.counted(),
      committed: window.commits.counted(),
      opened: window.openings.counted(),
      proofs: [...window.proofs],
      pending: state.pending(window),
    })),
  });
}

/** What a window's verdict must say of a miner, from the bare list of entries: null where it delivered everything. */
function delivered(entries: readonly LedgerEntry[], window: number, miner: Hex): boolean {
  const own = entries.flatMap(({ body }) => {
    const message = body as unknown as Message;
    return 'miner' in message && message.miner === miner && 'window' in message && message.window === window
      ? [message]
      : [];
  });
  const count = (type: Message['type']) => own.filter((message) => message.type === type).length;
  const proven = new Set(
    own.flatMap((message) =>
      message.type === 'proof' && !message.proof.startsWith(`0x${FALSE_PROOF}`) ? [message.part] : [],
    ),
  );
  return count('enrol') === 1 && count('commit') === 1 && count('opening') === 1 && proven.size === 2;
}

test('whatever the order of messages and closers, windows end, verdicts follow from the entries, and a replay agrees', async () => {
  const property = fc.asyncProperty(fc.integer({ min: 0, max: 3 }), fc.nat(), async (lag, seed) => {
    const simulation = new Simulation(lag, seed);
    await simulation.run();
    const { entries, genesis } = simulation;

    const replayed = new NetworkState(genesis);
    for (const entry of entries) replayed.apply(entry, { signatureChecked: true });
    expect(picture(replayed)).toEqual(picture(simulation.state));

    const lost = new Map<Hex, number>();
    for (const [index, { body }] of entries.entries()) {
      if (body.type === 'enrol') {
        const message = body as unknown as MessageOf<'enrol'>;
        // Whoever cools down is in no window whose enrolment it had not posted before.
        expect(message.window).toBeGreaterThan(lost.get(message.miner) ?? -1);
      }
      if (body.type !== 'verdict') continue;
      const { window, results } = body as unknown as VerdictBody;
      const before = entries.slice(0, index);
      const slots = (miner: Hex) => {
        const enrols = before.flatMap((entry) => {
          const message = entry.body as unknown as Message;
          return message.type === 'enrol' && message.window === window && message.miner === miner
            ? [message]
            : [];
        });
        return enrols.length === 1 ? enrols[0]!.slots : 0;
      };
      const all = results.reduce((sum, { miner }) => sum + slots(miner), 0);
      for (const { miner, rejection, credit } of results) {
        const right = delivered(before, window, miner);
        expect(rejection === null).toBe(right);
        const share = Math.min(
          genesis.rate * slots(miner),
          Math.floor((genesis.emission * slots(miner)) / all),
        );
        expect(credit).toBe(right ? share : 0);
        if (rejection !== null) lost.set(miner, window + lag + 1 + genesis.coolDown);
      }
      expect(results.reduce((sum, { credit }) => sum + credit, 0)).toBeLessThanOrEqual(genesis.emission);
    }
  });
  await fc.assert(property, { numRuns: RUNS, seed: 20260421 });
}, 600_000);

test('a closer of another phase or window than the next is refused, and changes nothing', () => {
  const state = new NetworkState(tinyGenesis());
  state.apply(NetworkState.genesisEntry(state.genesis));
  const hash = `0x${'00'.repeat(32)}` as const;
  for (const [i, phase] of PHASES.entries()) {
    if (phase === 'enrol') continue;
    const before = picture(state);
    const body = { type: CLOSERS[PHASES[i]!], window: 0, beacon1: hash, commitRoot: hash };
    const entry = { window: 0, phase, view: 0, author: KEYS.verifier.address, body };
    expect(() => state.apply(entry)).toThrow(GrailError);
    expect(picture(state)).toEqual(before);
  }
});
