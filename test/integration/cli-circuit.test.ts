import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { columns } from '../../src/cli/text.ts';
import { recipe } from '../../src/params/recipes.ts';
import { generateCircuit } from '../../src/proofs/circuit.ts';
import { circuitCost } from '../../src/proofs/cost.ts';
import type { KeyFile } from '../../src/proofs/key-file.ts';
import { parseVerificationKey, verificationKeyHash } from '../../src/proofs/verification-key.ts';
import { printedJson, runHere } from '../helpers/run-here.ts';
import { mlp } from '../helpers/steps.ts';

const NETWORK = mlp([[2, 4, 77]], 2);

let folder: string;
let file: string;
let cacheBefore: string | undefined;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'grail-circuit-'));
  file = join(folder, 'network.json');
  writeFileSync(file, JSON.stringify(NETWORK));
  cacheBefore = process.env.GRAIL_CACHE;
  process.env.GRAIL_CACHE = join(folder, 'cache');
});

afterAll(() => {
  if (cacheBefore === undefined) delete process.env.GRAIL_CACHE;
  else process.env.GRAIL_CACHE = cacheBefore;
  rmSync(folder, { recursive: true });
});

/** Runs `grail circuit …`. */
const circuit = (...args: string[]) => runHere(['circuit', ...args]);

describe('grail circuit info', () => {
  test('counts the constraints of an environment’s recipe, by part', async () => {
    const { architecture, stepsPerProof } = recipe('CartPole-v1', 'ppo');
    const spec = { architecture, stepsPerProof, variant: 'folds' } as const;
    const printed = await circuit('info', '--environment', 'cartpole', '--json');
    expect(printed.code).toBe(0);
    expect(printedJson(printed)).toMatchObject({
      name: generateCircuit(spec).name,
      spec,
      ...circuitCost(spec),
    });
  });

  test('shows them on at most 110 columns, the sum and the share of each', async () => {
    const { out } = await circuit('info', '--environment', 'breakout', '--variant', 'digest');
    expect(Math.max(...out.map(columns))).toBeLessThanOrEqual(110);
    const { constraints, parts } = circuitCost({
      ...recipe('MinAtar/Breakout-v1', 'ppo'),
      variant: 'digest',
    });
    expect(out.find((line) => line.startsWith('all'))).toMatch(new RegExp(`^all +${constraints}$`));
    expect(out.find((line) => line.startsWith('digest of the fold vectors'))).toContain(
      ` ${parts.foldDigest}  ${((100 * parts.foldDigest) / constraints).toFixed(1)}%`,
    );
  });

  test('takes no network that breaks a rule, and names the field', async () => {
    const broken = join(folder, 'broken.json');
    writeFileSync(broken, JSON.stringify({ ...NETWORK, layers: [{ ...NETWORK.layers[0]!, shift: 18 }] }));
    const { code, err } = await circuit('info', '--architecture', broken, '--steps', '1');
    expect(code).toBe(1);
    expect(err.join('\n')).toMatch(/POLICY_INVALID: .*layers\.0\.shift/);
  });

  test('takes no file of a size that no network has', async () => {
    const large = join(folder, 'large.json');
    writeFileSync(large, `${JSON.stringify(NETWORK)}${' '.repeat(65_536)}`);
    const { code, err } = await circuit('info', '--architecture', large, '--steps', '1');
    expect(code).toBe(1);
    expect(err.join('\n')).toMatch(/POLICY_INVALID: .*more than 65536/);
  });
});

describe('grail circuit source', () => {
  test('prints the main file that is compiled', async () => {
    const { out } = await circuit('source', '--architecture', file, '--steps', '2');
    const spec = { architecture: NETWORK, stepsPerProof: 2, variant: 'folds' } as const;
    expect(`${out.join('\n')}\n`).toBe(generateCircuit(spec).source);
  });
});

describe('grail circuit build', () => {
  test('compiles, makes development keys, and takes them from the cache the next time', async () => {
    const args = [
      'build',
      '--architecture',
      file,
      '--steps',
      '2',
      '--json',
      '--commit-key',
      join(folder, 'keys'),
    ];
    const first = await circuit(...args);
    expect(first.code).toBe(0);
    expect(first.err.some((line) => line.startsWith('compiling'))).toBe(true);
    const made = printedJson(first);
    const spec = { architecture: NETWORK, stepsPerProof: 2, variant: 'folds' } as const;
    expect(made).toMatchObject({ name: generateCircuit(spec).name, keys: 'insecure-dev', spec });
    const committed = JSON.parse(readFileSync(made.files.committed, 'utf8')) as KeyFile;
    expect(verificationKeyHash(parseVerificationKey(committed.verificationKey))).toBe(
      made.verificationKeyHash,
    );
    const second = await circuit(...args);
    expect(second.err).toEqual([]);
    expect(printedJson(second).verificationKeyHash).toBe(made.verificationKeyHash);
  }, 120_000);
});

describe('grail circuit contract', () => {
  test('prints the contract of a key file, and refuses a development key unless it is asked for', async () => {
    const built = await circuit(
      ...['build', '--architecture', file, '--steps', '2', '--variant', 'digest'],
      ...['--commit-key', join(folder, 'keys'), '--json'],
    );
    const { committed } = printedJson(built).files;
    const refused = await circuit('contract', '--key', committed);
    expect([refused.code, refused.out]).toEqual([1, []]);
    expect(refused.err.join('\n')).toContain('KEY_INSECURE');
    const args = ['contract', '--key', committed, '--insecure-dev', '--contract-name', 'Spot'];
    const { code, out } = await circuit(...args);
    expect(code).toBe(0);
    expect(out).toContain('contract Spot is ProofVerifier {');
    expect(out.join('\n')).toContain(printedJson(built).verificationKeyHash);
  }, 120_000);

  test('needs the key file', async () => {
    expect((await circuit('contract')).code).toBe(2);
  });
});
