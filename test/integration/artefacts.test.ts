import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  type ArtefactProgress,
  type CircuitArtefacts,
  defaultCacheDirectory,
  loadCircuitArtefacts,
  loadVerificationKey,
  writeCommittedKey,
} from '../../src/proofs/artefacts.ts';
import { generateCircuit } from '../../src/proofs/circuit.ts';
import { compileCircuit } from '../../src/proofs/compile.ts';
import type { CircuitSpec } from '../../src/proofs/types.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { PRODUCT_CIRCUIT } from '../helpers/product-circuit.ts';

const LOADER = fileURLToPath(new URL('../helpers/load-product-circuit.ts', import.meta.url));
let root: string;
let cacheDirectory: string;
let artefacts: CircuitArtefacts;

interface Loaded {
  readonly zkey: string;
  readonly verificationKey: string;
  readonly stages: readonly string[];
}

async function loadInProcess(cache: string): Promise<Loaded> {
  const { stdout } = await promisify(execFile)(process.execPath, [LOADER, cache]);
  return JSON.parse(stdout) as Loaded;
}

/** The artefacts again, and the stages that it took. */
async function reload(
  circuit: { name: string; source: string } = PRODUCT_CIRCUIT,
): Promise<{ again: CircuitArtefacts; stages: string[] }> {
  const stages: string[] = [];
  const onProgress = ({ stage }: ArtefactProgress) => {
    if (!stages.includes(stage)) stages.push(stage);
  };
  return { again: await loadCircuitArtefacts(circuit, { cacheDirectory, onProgress }), stages };
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'grail-artefacts-'));
  cacheDirectory = join(root, 'cache');
  artefacts = await loadCircuitArtefacts(PRODUCT_CIRCUIT, { cacheDirectory });
});

afterAll(async () => {
  await rm(root, { recursive: true });
});

describe('the artefact cache', () => {
  test('is made once by two processes that start together, with the same bytes as another cache', async () => {
    const cache = join(root, 'shared');
    const loaded = await Promise.all([loadInProcess(cache), loadInProcess(cache)]);
    expect(loaded[0]!.zkey).toBe(loaded[1]!.zkey);
    expect(loaded.filter(({ stages }) => stages.includes('compile'))).toHaveLength(1);
    expect(loaded[0]!.verificationKey).toBe(artefacts.verificationKeyHash);
    expect(await readdir(join(cache, 'circuits'))).toEqual([PRODUCT_CIRCUIT.name]);
  });

  test('is used as it is the second time', async () => {
    const { again, stages } = await reload();
    expect(stages).toEqual([]);
    expect(again).toEqual(artefacts);
  });

  test.each(['r1cs', 'wasm', 'zkey'] as const)('is made again when one byte of %s changed', async (file) => {
    const bytes = await readFile(artefacts[file]);
    const damaged = Buffer.from(bytes);
    damaged[bytes.length >> 1]! ^= 1;
    await writeFile(artefacts[file], damaged);
    const { stages } = await reload();
    expect(stages).toEqual(['compile', 'keys']);
    expect(await readFile(artefacts[file])).toEqual(bytes);
  });

  test('is made again when the source changed under the same name', async () => {
    const source = PRODUCT_CIRCUIT.source.replace('Num2Bits(16)', 'Num2Bits(17)');
    const { again, stages } = await reload({ ...PRODUCT_CIRCUIT, source });
    expect(stages).toEqual(['compile', 'keys']);
    expect(again.verificationKeyHash).not.toBe(artefacts.verificationKeyHash);
    await reload();
  });

  test('takes over the lock of a process that is gone, and removes what it left', async () => {
    const gone = spawn(process.execPath, ['-e', '']);
    await new Promise((resolve) => gone.once('exit', resolve));
    const parent = join(cacheDirectory, 'circuits');
    await rm(join(parent, PRODUCT_CIRCUIT.name), { recursive: true });
    await writeFile(join(parent, `${PRODUCT_CIRCUIT.name}.lock`), `${gone.pid}\n`);
    await mkdir(join(parent, `tmp-${gone.pid}-abcdef`));
    const { stages } = await reload();
    expect(stages).toContain('keys');
    expect(await readdir(parent)).toEqual([PRODUCT_CIRCUIT.name]);
  });

  test('stops waiting for another process when it is aborted', async () => {
    const cache = join(root, 'locked');
    await mkdir(join(cache, 'circuits'), { recursive: true });
    await writeFile(join(cache, 'circuits', `${PRODUCT_CIRCUIT.name}.lock`), `${process.pid}\n`);
    const controller = new AbortController();
    const onProgress = ({ stage }: ArtefactProgress) => {
      if (stage === 'wait') controller.abort();
    };
    const load = loadCircuitArtefacts(PRODUCT_CIRCUIT, {
      cacheDirectory: cache,
      signal: controller.signal,
      onProgress,
    });
    await expectCode('STOPPED', load);
  });

  test('keeps nothing of a circuit that does not compile', async () => {
    const circuit = { name: 'test-broken', source: 'template T() { signal input x; x === y; }' };
    await expectCode('CIRCUIT_UNSOUND', loadCircuitArtefacts(circuit, { cacheDirectory }));
    expect(await readdir(join(cacheDirectory, 'circuits'))).toEqual([PRODUCT_CIRCUIT.name]);
  });
});

describe('a committed verification key', () => {
  const spec: CircuitSpec = {
    architecture: {
      observation: 2,
      actions: 2,
      layers: [{ type: 'dense', in: 2, out: 2, shift: 4, biasMax: 0 }],
    },
    stepsPerProof: 1,
    variant: 'folds',
  };

  /** Commits the test circuit's key under the name of `spec`, so that nothing has to be compiled. */
  async function commit(): Promise<string> {
    const folder = await mkdtemp(join(root, 'committed-'));
    await writeCommittedKey({ ...artefacts, spec, name: generateCircuit(spec).name }, folder);
    return folder;
  }

  test('is used instead of making one', async () => {
    const loaded = await loadVerificationKey(spec, { cacheDirectory, committedKeys: await commit() });
    expect(loaded).toEqual({
      verificationKey: artefacts.verificationKey,
      verificationKeyHash: artefacts.verificationKeyHash,
    });
  });

  test('is refused when its file was altered', async () => {
    const folder = await commit();
    const [file] = await readdir(folder);
    const path = join(folder, file!);
    await writeFile(path, (await readFile(path, 'utf8')).replace('"nPublic": 4', '"nPublic": 5'));
    await expectCode('KEY_MISMATCH', loadVerificationKey(spec, { cacheDirectory, committedKeys: folder }));
  });
});

describe('the default cache folder', () => {
  afterEach(() => {
    delete process.env.GRAIL_CACHE;
  });

  test('is GRAIL_CACHE when it is set', () => {
    process.env.GRAIL_CACHE = '/elsewhere';
    expect(defaultCacheDirectory()).toBe('/elsewhere');
  });

  test('is .cache of a checkout, not of the home folder, otherwise', () => {
    const checkout = fileURLToPath(new URL('../../.cache', import.meta.url));
    expect(defaultCacheDirectory()).toBe(checkout);
    expect(defaultCacheDirectory().startsWith(join(homedir(), '.cache', 'grail'))).toBe(false);
  });
});

describe('the compiler', () => {
  test('does not depend on the working folder', async () => {
    const before = process.cwd();
    process.chdir(tmpdir());
    try {
      const compiled = await compileCircuit({ ...PRODUCT_CIRCUIT, directory: join(root, 'compiled') });
      expect(await readFile(compiled.r1cs)).toEqual(await readFile(artefacts.r1cs));
    } finally {
      process.chdir(before);
    }
  });

  test('passes on its message and line for a source that it rejects', async () => {
    const source = 'pragma circom 2.1.0;\ntemplate T() { signal input x; x === y; }\ncomponent main = T();\n';
    const error = await expectCode(
      'CIRCUIT_UNSOUND',
      compileCircuit({ name: 'broken', source, directory: join(root, 'broken') }),
    );
    expect(error.details.output).toMatch(/broken\.circom":2/);
  });

  test('is killed when it is aborted', async () => {
    const controller = new AbortController();
    const compile = compileCircuit({
      ...PRODUCT_CIRCUIT,
      directory: join(root, 'aborted'),
      signal: controller.signal,
    });
    setTimeout(() => controller.abort(), 50);
    await expectCode('STOPPED', compile);
  });

  test('refuses a name that is no file name', async () => {
    await expectCode('USAGE', compileCircuit({ ...PRODUCT_CIRCUIT, name: '../x', directory: root }));
  });
});
