import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cheat } from '../../rollouts/cheats.ts';
import { VerifierClient } from '../../rollouts/client.ts';
import { Endpoints } from '../../rollouts/endpoints.ts';
import { followLedger } from '../../rollouts/feed.ts';
import type { GrailError } from '../../src/protocol/errors.ts';
import { Identity } from '../../src/protocol/identity.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { FAST, MinerNetwork, until } from '../helpers/miner-network.ts';
import { KEYS, named, type TestNetwork } from '../helpers/network.ts';

/** The miner's client and state machine against a real gateway, over real sockets; the network's rules are the real ones. */
let live: MinerNetwork;
let network: TestNetwork;
let url: string;
let aborter: AbortController;

beforeEach(async () => {
  live = new MinerNetwork();
  ({ network } = live);
  aborter = new AbortController();
  url = await live.serve();
});

afterEach(async () => {
  aborter.abort();
  await live.remove();
});

const connect = (expectedGenesis?: `0x${string}`) =>
  VerifierClient.connect({ url, ...(expectedGenesis && { expectedGenesis }) });

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
    network.submit = async (value) => ({
      ...(await genuine(value)),
      signature: stranger.sign(new Uint8Array(32)),
    });
    await expectCode('BAD_SIGNATURE', (await connect()).post(network.miner.enrol(0)));
    network.submit = async (value) => ({ ...(await genuine(value)), index: 77 });
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
    network.receipt = async (window, miner) => ({ ...(await genuine(window, miner)), credit: 5 });
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
    await live.leave();
    await expectCode('UNREACHABLE', connect());
    await expectCode('USAGE', VerifierClient.connect({ url: 'ftp://example.org' }));
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
      endpoints: new Endpoints([new URL(`${url}/`)]),
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
    await live.leave();
    await network.submit(network.miner.commit(0));
    await until(() => downs.length > 1, 'failed attempts');
    await live.serve(url);
    await until(() => synced === 2, 'synced again');
    // Entry 2 is another miner's, which nobody asked for; nothing comes twice.
    expect(seen.filter((index) => index > 0)).toEqual([1, 3, 4]);
    expect(downs).toContain('UNREACHABLE');
    aborter.abort();
    await following;
  });

  const options = () => ({
    endpoints: new Endpoints([new URL(`${url}/`)]),
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

const { address } = KEYS.miner;
const state = (window: number) => live.state(window);
const enrolledIn = (window: number) => live.enrolled(window);
const committedIn = (window: number) => live.committed(window);
const openedIn = (window: number) => live.opened(window);
const provedIn = (window: number) => live.proved(window);

describe('the miner', () => {
  test('goes through a window, checks its receipt and ends after the windows it was asked for', async () => {
    const { end, of } = await live.mine({ windows: 1 });
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
      {
        event: 'verdict',
        window: 0,
        slots: 2,
        credit: 200,
        share: 0.2,
        total: '200',
        trained: true,
        insecureDev: true,
        index: 9,
      },
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
    await live.mine();
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
      const first = await live.mine({ signal: life.signal });
      const killed = first.end.catch((error: GrailError) => error.code);
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
      const second = await live.mine();
      const posted = { commit: committedIn, opening: openedIn, prove: provedIn }[phase];
      await until(() => posted(0), 'delivered by the second life');
      expect(state(0).commits.conflict(address)).toBeUndefined();
      expect(state(0).openings.conflict(address)).toBeUndefined();
      expect(second.of('rejected')).toEqual([]);
    },
  );

  test('that is told to stop finishes its window, enters no other and ends', async () => {
    const { miner, end, of } = await live.mine();
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
    expect(of('stopping')).toEqual([
      { event: 'stopping', windows: [0], waits: ['the end of its enrol phase'] },
    ]);
  });

  test('that is told to stop leaves when the verifier’s run is over', async () => {
    const { miner, end } = await live.mine();
    await until(() => enrolledIn(0), 'enrolled');
    const status = network.status.bind(network);
    network.status = () => ({ ...status(), finished: true });
    miner.stop();
    expect(await end).toMatchObject({ verdicts: 0 });
  });

  test('reports a verdict against it as the ledger has it, and then waits out its cool-down', async () => {
    const { of } = await live.mine();
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
    const { of } = await live.mine({ conduct: cheat('short-commit') });
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
    const { end } = await live.mine();
    await until(() => enrolledIn(0), 'enrolled');
    const body = await network.closer(0);
    // Past the rules that a verifier follows, straight into its ledger.
    const entry = network.closing({ ...body, policyRoot: named('x') } as typeof body);
    network.emit({ type: 'entry', index: network.ledger.append(entry).index, entry });
    await expectCode('LEDGER_INVALID', end);
  });

  test('registers a key that the network does not know', async () => {
    const { of } = await live.mine({ identity: KEYS.stranger });
    await until(() => network.state.miners.has(KEYS.stranger.address), 'registered');
    await until(() => of('registered').length > 0, 'reported');
    expect(of('registered')).toEqual([{ event: 'registered', miner: KEYS.stranger.address, enrolsFrom: 2 }]);
  });
});
