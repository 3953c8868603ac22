import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSpec } from '../../src/cli/circuit-spec.ts';
import { recipe } from '../../src/params/recipes.ts';
import { expectCode } from '../helpers/expect-code.ts';

const { architecture } = recipe('CartPole-v1', 'ppo');
const none = { environment: undefined, architecture: undefined, steps: undefined, variant: 'folds' as const };
let folder: string;
let file: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'grail-spec-'));
  file = join(folder, 'architecture.json');
  await writeFile(file, JSON.stringify(architecture));
});

afterAll(() => rm(folder, { recursive: true }));

describe('the flags that name a circuit', () => {
  test('give the circuit of an environment’s recipe, found by a part of its name', async () => {
    expect(await readSpec({ ...none, environment: 'cartpole' })).toEqual({
      architecture,
      stepsPerProof: 8,
      variant: 'folds',
    });
  });

  test('let --steps and --variant choose another circuit of that environment', async () => {
    expect(await readSpec({ ...none, environment: 'CartPole-v1', steps: 3, variant: 'digest' })).toEqual({
      architecture,
      stepsPerProof: 3,
      variant: 'digest',
    });
  });

  test('read an architecture from a file', async () => {
    expect(await readSpec({ ...none, architecture: file, steps: 2 })).toEqual({
      architecture,
      stepsPerProof: 2,
      variant: 'folds',
    });
  });

  test('are wrong usage when they name no circuit, two, or an architecture without steps', async () => {
    await expectCode('USAGE', readSpec(none));
    await expectCode('USAGE', readSpec({ ...none, environment: 'cartpole', architecture: file, steps: 2 }));
    await expectCode('USAGE', readSpec({ ...none, architecture: file }));
  });

  test('say that a file is missing', async () => {
    await expectCode('NOT_FOUND', readSpec({ ...none, architecture: join(folder, 'none.json'), steps: 1 }));
  });

  test.each([
    ['no JSON', '{'],
    ['an architecture with a field that is not one', JSON.stringify({ ...architecture, width: 3 })],
  ])('refuse a file with %s', async (_, text) => {
    const wrong = join(folder, 'wrong.json');
    await writeFile(wrong, text);
    await expectCode('POLICY_INVALID', readSpec({ ...none, architecture: wrong, steps: 1 }));
  });
});
