import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../src/cli/run.ts';
import { columns } from '../../src/cli/text.ts';
import { environmentById, environmentIds } from '../../src/environments/index.ts';
import { architectureSchema } from '../../src/policy/architecture.ts';
import { policyRoot } from '../../src/policy/snapshot.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { encodePolicyAnchor, encodePolicyPatch } from '../../src/pulse/index.ts';
import type { VerdictBody } from '../../src/replica/bodies.ts';
import { TestNetwork, tinyGenesis } from '../helpers/network.ts';
import { printedJson, runHere } from '../helpers/run-here.ts';
import { canTerminal, inTerminal as grailInTerminal, HIDE, SHOW, type Typed } from '../helpers/terminal.ts';
import { balancingPolicy, CARTPOLE_MLP, QUANTISER, randomPolicy } from '../support/policies.ts';

/** Runs `grail env …`. */
async function env(...args: string[]) {
  // No terminal that could be drawn on, wherever this test runs.
  const { code, out, err } = await runHere(['env', ...args], { TERM: 'dumb' });
  return { code, out, err: err.join('\n'), text: out.join('\n') };
}

describe('grail env list', () => {
  test('shows every environment on at most 100 columns', async () => {
    const { code, out, text } = await env('list');
    expect(code).toBe(0);
    for (const id of environmentIds) expect(text).toMatch(new RegExp(`^${id} `, 'm'));
    expect(Math.max(...out.map(columns))).toBeLessThanOrEqual(100);
  });

  test('--json gives shape, actions and limit of each', async () => {
    const { environments } = printedJson(await env('list', '--json'));
    expect(environments.map(({ id }: { id: string }) => id)).toEqual(environmentIds);
    expect(environments[0]).toMatchObject({
      id: 'CartPole-v1',
      shape: [4],
      actions: ['left', 'right'],
      maxEpisodeSteps: 500,
    });
  });
});

describe('grail env describe', () => {
  test.each(environmentIds.map((id) => [id]))(
    'says everything about %s on at most 100 columns',
    async (id) => {
      const { code, out, text } = await env('describe', id);
      expect(code).toBe(0);
      expect(Math.max(...out.map(columns))).toBeLessThanOrEqual(100);
      expect(out[0]).toBe(id);
      for (const name of environmentById(id).actionNames) expect(text).toContain(name);
      expect(text).toMatch(/^recipe ppo {4}\S/m);
    },
  );

  test('--json gives observed values, actions and recipes', async () => {
    const described = printedJson(await env('describe', 'breakout', '--json'));
    expect(described).toMatchObject({
      id: 'MinAtar/Breakout-v1',
      shape: [10, 10, 4],
      actions: ['nothing', 'left', 'right'],
      recipes: [
        { algorithm: 'ppo', recipe: { environment: 'MinAtar/Breakout-v1', groupSize: 1 } },
        { algorithm: 'grpo' },
      ],
    });
    expect(described.observed[3]).toEqual({ from: 3, to: 3, name: 'brick' });
  });

  test.each([
    ['pong', environmentIds],
    ['car', ['CartPole-v1', 'MountainCar-v0']],
  ])('of %s is NOT_FOUND, exit code 1, with the candidates', async (name, candidates) => {
    const { code, out, err } = await env('describe', name);
    expect([code, out]).toEqual([1, []]);
    expect(err).toMatch(/^NOT_FOUND: /);
    for (const id of candidates) expect(err).toContain(id);
    const { error } = printedJson(await env('describe', name, '--json'));
    expect(error).toMatchObject({ code: 'NOT_FOUND', details: { got: name, candidates } });
  });
});

describe('grail env play', () => {
  test('prints the same frames for the same seed, and others for another one', async () => {
    const [one, same, other] = [
      await env('play', 'breakout', '--seed', '5'),
      await env('play', 'breakout', '--seed', '5'),
      await env('play', 'breakout', '--seed', '6'),
    ];
    expect(one.code).toBe(0);
    expect(same.text).toBe(one.text);
    expect(other.text.replace('seed 6', 'seed 5')).not.toBe(one.text);
  });

  test('prints a frame before the first step and one after each, without moving a cursor', async () => {
    const { out, text } = await env('play', 'cartpole', '--steps', '7');
    expect(out.filter((line) => line.startsWith('step '))).toHaveLength(8);
    expect(text).not.toContain('\u001b');
    expect(out.at(-1)).toBe('Return 7 in 7 steps: stopped by --steps, it would have gone on.');
  });

  test('--no-animation prints the first and the last frame', async () => {
    const { out } = await env('play', 'cartpole', '--steps', '7', '--no-animation');
    const steps = out.filter((line) => line.startsWith('step '));
    expect(steps).toHaveLength(2);
    expect(steps[0]).toBe('step 0  return 0');
    expect(steps[1]).toMatch(/^step 7 {2}(left|right) {2}reward 1 {2}return 7$/);
  });

  test.each(environmentIds.map((id) => [id]))(
    '--json prints one object about an episode of %s',
    async (id) => {
      const played = await env('play', id, '--seed', '3', '--steps', '3000', '--json');
      expect([played.code, played.out.length]).toEqual([0, 1]);
      const episode = printedJson(played);
      expect(episode).toMatchObject({ environment: id, seed: 3, policy: 'random' });
      expect(episode.actions).toHaveLength(episode.steps);
      expect(['terminated', 'truncated', 'limit']).toContain(episode.end);
    },
  );

  test('random actions are uniform', async () => {
    const { actions } = printedJson(await env('play', 'freeway', '--json')) as { actions: number[] };
    expect(actions).toHaveLength(2501);
    // 833.7 of each are expected, with a standard deviation of 23.6.
    for (let action = 0; action < 3; action++) {
      const count = actions.filter((taken) => taken === action).length;
      expect(Math.abs(count - 2501 / 3)).toBeLessThan(100);
    }
  });

  test('an interruption stops it with exit code 130', async () => {
    const controller = new AbortController();
    const out: string[] = [];
    const code = await run(['env', 'play', 'freeway'], {
      signal: controller.signal,
      out: (line) => {
        out.push(line);
        if (line.startsWith('step 3 ')) controller.abort();
      },
      err: () => {},
      env: { TERM: 'dumb' },
    });
    expect([code, out.at(-1)]).toEqual([130, 'Return 0 in 3 steps: interrupted.']);
  });

  test.each([
    [['play'], 'ID is missing'],
    [['describe'], 'ID is missing'],
    [['list', 'cartpole'], 'no place for'],
    [['play', 'cartpole', '--version', '1'], '--version needs --policy DIR'],
    [['play', 'cartpole', '--keyboard'], 'needs a terminal'],
    [['play', 'cartpole', '--keyboard', '--policy', 'x'], 'leave --policy out'],
    [['play', 'cartpole', '--keyboard', '--json'], 'leave --json'],
    [['play', 'cartpole', '--fps', '0'], '--fps'],
    [['paint'], 'ACTION is one of list, describe, play'],
  ])('%j is wrong usage', async (args, sentence) => {
    const { code, err } = await env(...args);
    expect([code, err]).toEqual([2, expect.stringContaining(sentence)]);
  });
});

describe('grail env play --policy DIR', () => {
  let network: TestNetwork;

  beforeAll(async () => {
    const [first, second] = [randomPolicy(CARTPOLE_MLP, 4), balancingPolicy()];
    const anchor = encodePolicyAnchor(first);
    const initialPolicyRoot = toHex(policyRoot(first));
    network = new TestNetwork(
      tinyGenesis({
        architecture: architectureSchema.parse(CARTPOLE_MLP),
        quantiser: QUANTISER,
        initialPolicyRoot,
        initialAnchor: toHex(sha256(anchor)),
      }),
    );
    const roots = { baseRoot: policyRoot(first), targetRoot: policyRoot(second) };
    const patch = encodePolicyPatch({ base: first, target: second, ...roots });
    await network.blobs.put(anchor);
    await network.blobs.put(patch);
    const { miner } = network;
    network.submit(miner.enrol(0));
    await network.close(0);
    network.submit(miner.commit(0));
    await network.close(0);
    network.submit(miner.opening(0));
    await network.close(0);
    for (const part of [0, 1]) network.submit(miner.proof(0, part));
    const verdict = (await network.closer(0)) as VerdictBody;
    const update = {
      ...verdict.update,
      policyRoot: toHex(roots.targetRoot),
      patch: { hash: toHex(sha256(patch)), bytes: patch.length },
    };
    network.append(network.closing({ ...verdict, update }));
  });

  afterAll(() => network.remove());

  test('plays the newest policy, in the environment of the network', async () => {
    const { directory } = network;
    expect(printedJson(await env('play', '--policy', directory, '--json'))).toMatchObject({
      environment: 'CartPole-v1',
      policy: { directory, version: 1 },
      return: 500,
      end: 'truncated',
    });
  });

  test('plays the version that is asked for, by the same seed the same way', async () => {
    const args = ['play', 'cartpole', '--policy', network.directory, '--version', '0', '--json'];
    const [one, same] = [printedJson(await env(...args)), printedJson(await env(...args))];
    expect(one).toMatchObject({ policy: { version: 0 }, end: 'terminated' });
    expect(same).toEqual(one);
  });

  test('of a version that is not published is NOT_FOUND', async () => {
    const { code, err } = await env('play', '--policy', network.directory, '--version', '2');
    expect([code, err]).toEqual([1, expect.stringMatching(/^NOT_FOUND: .* versions 0 to 1/)]);
  });

  test('of another environment than its own is wrong usage', async () => {
    const { code, err } = await env('play', 'breakout', '--policy', network.directory);
    expect([code, err]).toEqual([2, expect.stringContaining('play CartPole-v1: leave breakout out')]);
  });

  test('of a folder without a network is NOT_FOUND', async () => {
    const empty = mkdtempSync(join(tmpdir(), 'grail-env-'));
    const { code, err } = await env('play', '--policy', empty);
    rmSync(empty, { recursive: true });
    expect([code, err]).toEqual([1, expect.stringMatching(/^NOT_FOUND: .*holds no network/)]);
  });
});

const inTerminal = (args: readonly string[], typed: readonly Typed[]) =>
  grailInTerminal(['env', ...args], typed);

describe.skipIf(!canTerminal)('in a terminal', () => {
  test('frames are drawn over each other, and the cursor comes back at the end', async () => {
    const { shown, code } = await inTerminal(['play', 'cartpole', '--steps', '3', '--fps', '240'], []);
    expect(code).toBe(0);
    expect(shown.split(HIDE)).toHaveLength(2);
    // One way up for each frame after the first: title, blank, 15 lines of picture, blank, status.
    expect(shown.split('\u001b[19A')).toHaveLength(4);
    expect(shown.indexOf(SHOW)).toBeGreaterThan(shown.indexOf('step 3'));
    expect(shown.indexOf('Return 3 in 3 steps')).toBeGreaterThan(shown.indexOf(SHOW));
  });

  test('Ctrl-C ends it with exit code 130, and the cursor comes back', async () => {
    const { shown, code } = await inTerminal(['play', 'freeway'], [['step 2', '\u0003']]);
    expect(code).toBe(130);
    expect(shown).toContain(': interrupted.');
    expect(shown.lastIndexOf(SHOW)).toBeGreaterThan(shown.lastIndexOf(HIDE));
  });

  test('a person plays with arrows and numbers, each key a step, and q quits', async () => {
    const { shown, code, usual } = await inTerminal(
      ['play', 'cartpole', '--keyboard'],
      [['step 0', '\u001b[C0\u001b[Cxq']],
    );
    expect({ code, usual }).toEqual({ code: 0, usual: true });
    for (const status of ['step 1  right', 'step 2  left', 'step 3  right']) expect(shown).toContain(status);
    expect(shown).toContain('Return 3 in 3 steps: stopped by q.');
    expect(shown.lastIndexOf(SHOW)).toBeGreaterThan(shown.lastIndexOf(HIDE));
  });

  test('where an action does nothing the first key starts the clock', async () => {
    const { shown, code } = await inTerminal(
      ['play', 'breakout', '--keyboard', '--fps', '60'],
      [['step 0', '\u001b[D']],
    );
    expect(code).toBe(0);
    expect(shown).toContain('step 1  left');
    expect(shown).toContain('step 3  nothing');
    expect(shown).toContain('it ended in a terminal state');
  });

  test('Ctrl-C at the keyboard ends with exit code 130 and gives the terminal back', async () => {
    const { shown, code, usual } = await inTerminal(
      ['play', 'cartpole', '--keyboard'],
      [['step 0', '\u0003']],
    );
    expect({ code, usual }).toEqual({ code: 130, usual: true });
    expect(shown.lastIndexOf(SHOW)).toBeGreaterThan(shown.lastIndexOf(HIDE));
  });
});
