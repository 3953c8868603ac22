import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cheat } from '../../rollouts/cheats.ts';
import { VerifierClient } from '../../rollouts/client.ts';
import type { Conduct } from '../../rollouts/conduct.ts';
import { inlineEngine } from '../../rollouts/engine/index.ts';
import type { MinerEvent } from '../../rollouts/events.ts';
import { followLedger } from '../../rollouts/feed.ts';
import { createMiner, type Miner, type MinerSummary } from '../../rollouts/miner.ts';
import { referenceBackend } from '../../src/backends/index.ts';
import type { GrailError } from '../../src/protocol/errors.ts';
import { Identity } from '../../src/protocol/identity.ts';
import type { WindowState } from '../../src/replica/window.ts';
import { createGateway } from '../../verifier/gateway.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { KEYS, named, TestNetwork } from '../helpers/network.ts';
import { mineableGenesis } from '../support/mining.ts';

/** The miner's client and state machine against a real gateway, over real sockets; the network's rules are the real ones. */
const quiet = { info() {}, warn() {}, error() {}, debug() {} };
const FAST = { baseMs: 5, maxMs: 20 };

let network: TestNetwork;
let gateway: ReturnType<typeof createGateway>;
let url: string;
let aborter: AbortController;

async function serve(port = 0): Promise<void> {
  gateway = createGateway({ sequencer: network, blobs: network.blobs, host: '127.0.0.1', port, log: quiet });
  url = (await gateway.start()).url;
}

beforeEach(async () => {
  network = new TestNetwork(mineableGenesis());
  aborter = new AbortController();
  await serve();
});

afterEach(async () => {
  aborter.abort();
  await gateway.stop();
  network.remove();
});

const connect = (expectedGenesis?: `0x${string}`) =>
  VerifierClient.connect({ url, ...(expectedGenesis && { expectedGenesis }) });

/** Waits until something holds. */
async function until(holds: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 2000; i++) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`never: ${what}`);
}

describe('the client', () => {
  test('takes an acknowledgement that a verifier of genesis signed', async () => {
    const client = await connect();
    const message = network.miner.enrol(0);
    expect(await client.post(message)).toMatchObject({ window: 0, phase: 'enrol', index: 1 });
    // The same message again is the same entry.
    expect(await client.post(message)).toMatchObject({ index: 1 });
  });

  test('gives a refusal with the code, sentence and details of the verifier', async () => {
    const client = await connect();
    const error = await expectCode('SLOTS_INVALID', client.post(network.miner.enrol(0, 9)));
    expect(error.details).toMatchObject({ got: 9 });
    await expectCode('NOT_REGISTERED', client.post(network.stranger.enrol(0)));
    await expectCode('PHASE_NOT_OPEN', client.post(network.miner.commit(0)));
  });

  test('refuses a promise that is signed by somebody else', async () => {
    const genuine = network.submit.bind(network);
    const stranger = new Identity(new Uint8Array(32).fill(9));
    network.submit = (value) => ({ ...genuine(value), signature: stranger.sign(new Uint8Array(32)) });
    await expectCode('BAD_SIGNATURE', (await connect()).post(network.miner.enrol(0)));
    network.submit = (value) => ({ ...genuine(value), index: 77 });
    await expectCode('BAD_SIGNATURE', (await connect()).post(network.miner.enrol(0)));
  });

  test('checks receipts: their signature, and that they are of the window that was asked for', async () => {
    await network.run(0);
    await network.run(1);
    const client = await connect();
    const { address } = KEYS.miner;
    expect(await client.receipt(0, address)).toMatchObject({ window: 0, miner: address, insecureDev: true });
    await expectCode('NOT_FOUND', client.receipt(2, address));
    const genuine = network.receipt.bind(network);
    network.receipt = () => genuine(1, address);
    await expectCode('BAD_SIGNATURE', client.receipt(0, address));
    network.receipt = (window, miner) => ({ ...genuine(window, miner), credit: 5 });
    await expectCode('BAD_SIGNATURE', client.receipt(0, address));
  });

  test('checks blobs by the hash that names them', async () => {
    const client = await connect();
    const bytes = new TextEncoder().encode('a patch');
    const hash = await network.blobs.put(bytes);
    expect(await client.blob(hash)).toEqual(bytes);
    await expectCode('BLOB_MISSING', client.blob(named('nothing')));
  });

  test('is on one network only', async () => {
    await expectCode('GENESIS_MISMATCH', connect(named('another network')));
  });

  test('says UNREACHABLE of a verifier that is not there, and USAGE of an address that is none', async () => {
    await gateway.stop();
    await expectCode('UNREACHABLE', connect());
    await expectCode('USAGE', VerifierClient.connect({ url: 'ftp://example.org' }));
    await serve();
  });

  test('says UNREACHABLE of a verifier that does not answer in time, STOPPED when it is aborted itself', async () => {
    const silent: Server = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const address = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    await expectCode('UNREACHABLE', VerifierClient.connect({ url: address, timeoutMs: 30 }));
    const signal = AbortSignal.timeout(30);
    await expectCode('STOPPED', VerifierClient.connect({ url: address, signal }));
    silent.closeAllConnections();
    silent.close();
  });
});

describe('the feed', () => {
  test('takes up at the next entry after the verifier went away and came back', async () => {
    const seen: number[] = [];
    const downs: string[] = [];
    let next = 0;
    let synced = 0;
    const following = followLedger({
      url: new URL(`${url}/`),
      genesisHash: network.state.genesisHash,
      miner: KEYS.miner.address,
      next: () => next,
      signal: aborter.signal,
      onEntry: (index) => {
        seen.push(index);
        next = index + 1;
      },
      onSynced: () => synced++,
      onDown: (error) => downs.push(error.code),
      backoff: FAST,
    });
    await until(() => synced === 1, 'synced');
    network.take(network.miner.enrol(0));
    network.take(network.other.enrol(0));
    await network.close(0);
    await until(() => seen.includes(3), 'the opening entry');
    const { port } = new URL(url);
    await gateway.stop();
    network.take(network.miner.commit(0));
    await until(() => downs.length > 1, 'failed attempts');
    await serve(Number(port));
    await until(() => synced === 2, 'synced again');
    // Entry 2 is another miner's, which nobody asked for; nothing comes twice.
    expect(seen.filter((index) => index > 0)).toEqual([1, 3, 4]);
    expect(downs).toContain('UNREACHABLE');
    aborter.abort();
    await following;
  });

  const options = () => ({
    url: new URL(`${url}/`),
    genesisHash: network.state.genesisHash,
    miner: KEYS.miner.address,
    next: () => 0,
    signal: aborter.signal,
    onEntry: () => {},
    onSynced: () => {},
    onDown: () => {},
    backoff: FAST,
  });

  test('ends with LEDGER_DIVERGED when the verifier lost entries', async () => {
    await expectCode('LEDGER_DIVERGED', followLedger({ ...options(), next: () => 5 }));
  });

  test('ends with GENESIS_MISMATCH on another network', async () => {
    await expectCode('GENESIS_MISMATCH', followLedger({ ...options(), genesisHash: new Uint8Array(32) }));
  });
});

/** A miner of KEYS.miner, with everything it reported. */
function mine(options: { conduct?: Conduct; windows?: number; signal?: AbortSignal } = {}) {
  const events: MinerEvent[] = [];
  let proofs = 0;
  const started = connect().then((client): { miner: Miner; end: Promise<MinerSummary> } => {
    const miner = createMiner({
      client,
      identity: KEYS.miner,
      slots: 2,
      engine: inlineEngine(referenceBackend()),
      // This network's verdicts look at no proof; the real prover has its own tests.
      prover: {
        prove: async () => ({
          proof: new Uint8Array(256).fill(++proofs),
          publicSignals: [],
          witnessMs: 0,
          proveMs: 0,
        }),
      },
      log: (event) => events.push(event),
      signal: options.signal ?? aborter.signal,
      backoff: FAST,
      ...(options.conduct && { conduct: options.conduct }),
      ...(options.windows && { windows: options.windows }),
    });
    const end = miner.run();
    // Most tests end by aborting it.
    end.catch(() => {});
    return { miner, end };
  });
  return { events, started, of: (kind: MinerEvent['event']) => events.filter(({ event }) => event === kind) };
}

const state = (window: number): WindowState => network.state.window(window)!;
const address = KEYS.miner.address;
const enrolledIn = (window: number) => state(window)?.enrolments.get(address) !== undefined;
const committedIn = (window: number) => state(window).commits.get(address) !== undefined;
const openedIn = (window: number) => state(window).openings.get(address) !== undefined;
const provedIn = (window: number) =>
  (state(window).proofs.get(address) ?? []).filter((part) => part.length > 0).length === 2;

describe('the miner', () => {
  test('goes through a window, checks its receipt and ends after the windows it was asked for', async () => {
    const { started, of } = mine({ windows: 1 });
    const { end } = await started;
    await until(() => enrolledIn(0), 'enrolled');
    await network.close(0);
    await until(() => committedIn(0), 'committed');
    await network.close(0);
    await until(() => openedIn(0), 'opened');
    await network.close(0);
    await until(() => provedIn(0), 'proved');
    await network.close(0);
    expect(await end).toEqual({ windows: 1, verdicts: 1, rejections: 0, credit: 200n });
    expect(of('verdict')).toEqual([
      { event: 'verdict', window: 0, credit: 200, total: '200', trained: true, insecureDev: true, index: 9 },
    ]);
    expect(of('phase').map((event) => 'phase' in event && event.phase)).toEqual([
      'commit',
      'opening',
      'prove',
      'done',
    ]);
    expect(of('failed')).toEqual([]);
    expect(enrolledIn(1)).toBe(false);
  });

  test('enrols in the next window while it proves this one', async () => {
    const { started } = mine();
    await started;
    await until(() => enrolledIn(0), 'enrolled');
    await network.close(0);
    await until(() => committedIn(0) && enrolledIn(1), 'committed, and enrolled in window 1');
    await network.close(0);
    await until(() => openedIn(0), 'opened');
    await network.close(0);
    await network.close(1);
    await until(() => provedIn(0) && committedIn(1) && enrolledIn(2), 'two windows at once');
  });

  test.each(['commit', 'opening', 'prove'] as const)(
    'that was killed goes on in the %s phase, with a new process that knows nothing',
    async (phase) => {
      const life = new AbortController();
      const first = mine({ signal: life.signal });
      const killed = (await first.started).end.catch((error: GrailError) => error.code);
      await until(() => enrolledIn(0), 'enrolled');
      // Posting is one step: stop it before the phase opens, so that the next life has everything to do again.
      const steps = { commit: [], opening: [committedIn], prove: [committedIn, openedIn] }[phase];
      for (const step of steps) {
        await network.close(0);
        await until(() => step(0), 'delivered');
      }
      life.abort();
      expect(await killed).toBe('STOPPED');
      await network.close(0);
      const second = mine();
      await second.started;
      const posted = { commit: committedIn, opening: openedIn, prove: provedIn }[phase];
      await until(() => posted(0), 'delivered by the second life');
      expect(state(0).commits.conflict(address)).toBeUndefined();
      expect(state(0).openings.conflict(address)).toBeUndefined();
      expect(second.of('rejected')).toEqual([]);
    },
  );

  test('survives a verifier that goes away in the middle of a window', async () => {
    const { started, of } = mine();
    await started;
    await until(() => enrolledIn(0), 'enrolled');
    const { port } = new URL(url);
    await gateway.stop();
    await network.close(0);
    await until(() => of('disconnected').length > 0, 'noticed');
    await serve(Number(port));
    await until(() => committedIn(0), 'committed after it came back');
  });

  test('that is told to stop finishes its window, enters no other and ends', async () => {
    const { started, of } = mine();
    const { miner, end } = await started;
    await until(() => enrolledIn(0), 'enrolled');
    miner.stop();
    await network.close(0);
    await until(() => committedIn(0), 'committed');
    await network.close(0);
    await until(() => openedIn(0), 'opened');
    await network.close(0);
    await until(() => provedIn(0), 'proved');
    await network.close(0);
    expect(await end).toMatchObject({ windows: 1, verdicts: 1 });
    expect(enrolledIn(1)).toBe(false);
    expect(of('stopping')).toEqual([{ event: 'stopping', windows: [0] }]);
  });

  test('that is told to stop leaves when the verifier’s run is over', async () => {
    const { started } = mine();
    const { miner, end } = await started;
    await until(() => enrolledIn(0), 'enrolled');
    const status = network.status.bind(network);
    network.status = () => ({ ...status(), finished: true });
    miner.stop();
    expect(await end).toMatchObject({ verdicts: 0 });
  });

  test('reports a verdict against it as the ledger has it, and then waits out its cool-down', async () => {
    const { started, of } = mine();
    await started;
    const rejection = { code: 'ACTION_MISMATCH', slot: 1, step: 3, expected: 0, got: 1 } as const;
    await until(() => enrolledIn(0), 'enrolled');
    for (const step of [committedIn, openedIn, provedIn]) {
      await network.close(0);
      await until(() => step(0), 'delivered');
    }
    await until(() => enrolledIn(1), 'enrolled in window 1');
    await network.close(1);
    await until(() => enrolledIn(2), 'enrolled in window 2');
    await network.close(0, { [address]: rejection });
    await until(() => of('rejected').length > 0, 'rejected');
    expect(of('rejected')[0]).toMatchObject({ at: 'verdict', window: 0, ...rejection });
    await until(() => of('waiting').length > 0, 'waiting');
    expect(of('waiting')[0]).toMatchObject({
      code: 'COOLING_DOWN',
      from: network.state.miners.get(address)!.coolingUntil + 1,
    });
  });

  test('that cheats is told so at the gate, and does nothing more in that window', async () => {
    const { started, of } = mine({ conduct: cheat('short-commit') });
    await started;
    await until(() => enrolledIn(0), 'enrolled');
    await network.close(0);
    await until(() => of('rejected').length > 0, 'refused');
    expect(of('cheating')).toHaveLength(1);
    expect(of('rejected')).toEqual([
      expect.objectContaining({
        at: 'gate',
        message: 'commit',
        code: 'COMMIT_SHAPE',
        expected: '4 bytes',
        got: '3 bytes',
      }),
    ]);
    await network.close(0);
    await until(() => enrolledIn(1), 'the next window goes on');
    expect(committedIn(0)).toBe(false);
    expect(of('rejected')).toHaveLength(1);
  });

  test('ends with a code when the verifier breaks a rule', async () => {
    const { started } = mine();
    const { end } = await started;
    await until(() => enrolledIn(0), 'enrolled');
    const body = await network.closer(0);
    // Past the rules that a verifier follows, straight into its ledger.
    const entry = network.closing({ ...body, policyRoot: named('x') } as typeof body);
    network.emit({ type: 'entry', index: network.ledger.append(entry).index, entry });
    await expectCode('LEDGER_INVALID', end);
  });

  test('registers a key that the network does not know', async () => {
    const client = await connect();
    const events: MinerEvent[] = [];
    const miner = createMiner({
      client,
      identity: KEYS.stranger,
      slots: 2,
      engine: inlineEngine(referenceBackend()),
      prover: { prove: () => Promise.reject(new Error('nothing to prove')) },
      log: (event) => events.push(event),
      signal: aborter.signal,
      backoff: FAST,
    });
    void miner.run().catch(() => {});
    await until(() => network.state.miners.has(KEYS.stranger.address), 'registered');
    await until(() => events.some(({ event }) => event === 'registered'), 'reported');
    expect(events).toContainEqual({ event: 'registered', miner: KEYS.stranger.address, enrolsFrom: 2 });
  });
});
