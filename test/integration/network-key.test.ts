import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildBn128 } from 'ffjavascript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Genesis } from '../../src/params/genesis.ts';
import { recipe } from '../../src/params/recipes.ts';
import { loadCircuitArtefacts, loadCompiledCircuit } from '../../src/proofs/artefacts.ts';
import { contributionHash } from '../../src/proofs/ceremony/contributions.ts';
import { createCeremony } from '../../src/proofs/ceremony/create.ts';
import { exportKey } from '../../src/proofs/ceremony/export.ts';
import { contribute } from '../../src/proofs/ceremony/extend.ts';
import { generateCircuit } from '../../src/proofs/circuit.ts';
import { insecureDevSecrets, verificationKeyOf } from '../../src/proofs/development-keys.ts';
import { groth16Setup } from '../../src/proofs/groth16-setup.ts';
import { type CeremonyProvenance, type KeyFile, writeKeyFile } from '../../src/proofs/key-file.ts';
import { loadNetworkKey, loadNetworkProver } from '../../src/proofs/network-key.ts';
import { createProver } from '../../src/proofs/prove.ts';
import { parseR1cs } from '../../src/proofs/r1cs.ts';
import { circuitSpec } from '../../src/proofs/spec.ts';
import type { CircuitSpec } from '../../src/proofs/types.ts';
import {
  createVerifier,
  isDevelopmentKey,
  type VerificationKey,
  verificationKeyHash,
} from '../../src/proofs/verify.ts';
import { fromHex, type Hex, toHex, utf8 } from '../../src/protocol/bytes.ts';
import type { Code } from '../../src/protocol/codes.ts';
import { sha256 } from '../../src/protocol/hash.ts';
import { makeDevnet } from '../../verifier/devnet.ts';
import { NetworkDirectory } from '../../verifier/directory.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { named, tinyGenesis } from '../helpers/network.ts';
import { PRODUCT_CIRCUIT, productInput } from '../helpers/product-circuit.ts';
import { endSnarkjs, makePhaseOne, SMALL_CIRCUIT } from '../helpers/small-ceremony.ts';

/** A network whose circuit compiles at once. Its key is the small ceremony's, which no rule on where it comes from can tell. */
const NETWORK: Partial<Genesis> = {
  architecture: {
    observation: 4,
    actions: 2,
    layers: [{ type: 'dense', in: 4, out: 2, shift: 2, biasMax: 1024 }],
  },
  quantiser: { observationBits: 6, activationBits: 5, weightBits: [6], hysteresis: 0.75 },
  stepsPerProof: 1,
};
const spec = circuitSpec(tinyGenesis(NETWORK));
const circuit = generateCircuit(spec);

let root: string;
let cacheDirectory: string;
let zkey: string;
let good: KeyFile & { provenance: CeremonyProvenance };
let elsewhere: CeremonyProvenance;
let development: KeyFile;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'grail-network-key-'));
  cacheDirectory = join(root, 'cache');
  const { prepared } = await makePhaseOne(root);
  await endSnarkjs();
  const ceremony = async (name: string) => {
    const directory = join(root, name);
    await createCeremony(directory, SMALL_CIRCUIT, prepared);
    await contribute(directory, { name: 'Ada', entropy: null });
    await contribute(directory, { name: 'Bob', entropy: null });
    const { file } = await exportKey(directory, null, { phaseOne: prepared, circuit: SMALL_CIRCUIT });
    return { ...file, circuit: circuit.name, spec } as typeof good;
  };
  good = await ceremony('first');
  elsewhere = (await ceremony('second')).provenance;
  zkey = join(root, 'first', '0002.zkey');
  const { verificationKey } = await loadCircuitArtefacts(PRODUCT_CIRCUIT);
  const { note, tools, r1csSha256, zkeySha256 } = good.provenance;
  development = withKey(
    { ...good, provenance: { kind: 'insecure-dev', note, tools, r1csSha256, zkeySha256 } },
    verificationKey,
  );
});

afterAll(() => rm(root, { recursive: true }));

function withKey<File extends KeyFile>(file: File, verificationKey: VerificationKey): File {
  return { ...file, verificationKey, verificationKeyHash: verificationKeyHash(verificationKey) as Hex };
}

/** A key file with another provenance. */
function changed(change: Partial<CeremonyProvenance>): KeyFile {
  return { ...good, provenance: { ...good.provenance, ...change } };
}

/** A network that pins a key, and a folder with its file. */
async function network(file: KeyFile, insecureDev = false, pinned: Hex = file.verificationKeyHash) {
  const keyFolder = await mkdtemp(join(root, 'keys-'));
  await writeKeyFile(join(keyFolder, `${file.circuit}.json`), file);
  const verificationKeys = { folds: pinned, digest: null };
  const genesis = tinyGenesis({ ...NETWORK, insecureDev, proof: { variant: 'folds', verificationKeys } });
  return { genesis, sources: { keyFolder, cacheDirectory }, keyFolder };
}

async function load(file: KeyFile, insecureDev = false) {
  const { genesis, sources } = await network(file, insecureDev);
  return loadNetworkKey(genesis, sources);
}

const refused = (code: Code, file: KeyFile, insecureDev = false) => expectCode(code, load(file, insecureDev));

describe('the key of a ceremony', () => {
  test('is used by a network that is not insecure-dev', async () => {
    expect((await load(good)).verificationKeyHash).toBe(good.verificationKeyHash);
  });

  test('is found among key files of the same circuit by its hash', async () => {
    const { genesis, sources, keyFolder } = await network(good, true);
    await writeKeyFile(join(keyFolder, `${circuit.name}.development.json`), development);
    expect((await loadNetworkKey(genesis, sources)).file).toEqual(good);
  });

  test('is found where it is said to be', async () => {
    const { genesis, keyFolder } = await network(good);
    const keyFile = join(keyFolder, `${circuit.name}.json`);
    expect((await loadNetworkKey(genesis, { cacheDirectory, keyFile })).file).toEqual(good);
  });

  test('has no insecure relatives: δ, contributions and phase 1 are its own', async () => {
    expect(isDevelopmentKey(good.verificationKey)).toBe(false);
    expect(good.verificationKey.vk_delta_2).not.toEqual(good.verificationKey.vk_gamma_2);
  });
});

describe('a new development network', () => {
  const cartPole = async (): Promise<KeyFile> => {
    const { architecture, stepsPerProof } = recipe('CartPole-v1', 'ppo');
    const of: CircuitSpec = { architecture, stepsPerProof, variant: 'folds' };
    return { ...good, spec: of, circuit: generateCircuit(of).name };
  };
  const make = (keyFile: string) => makeDevnet({ seed: 1, miners: 0, keyFile });

  test('pins the key of a key file, and keeps the file where its audits look', async () => {
    const file = await cartPole();
    const path = join(root, 'given.json');
    await writeKeyFile(path, file);
    const devnet = await make(path);
    const directory = new NetworkDirectory(join(root, 'network'));
    await directory.create(devnet);
    expect(devnet.genesis.proof.verificationKeys.folds).toBe(file.verificationKeyHash);
    expect(devnet.genesis.insecureDev).toBe(true);
    const sources = { cacheDirectory, keyFolder: directory.keysPath };
    expect((await loadNetworkKey(directory.genesis(), sources)).file).toEqual(file);
  });

  test('refuses the key of another circuit', async () => {
    const path = join(root, 'given-other.json');
    await writeKeyFile(path, good);
    await expectCode('KEY_MISMATCH', make(path));
  });
});

describe('a network refuses a key', () => {
  test('that is not the pinned one', async () => {
    const { genesis, sources, keyFolder } = await network(good, false, named('another key') as Hex);
    const keyFile = join(keyFolder, `${circuit.name}.json`);
    await expectCode('KEY_MISMATCH', loadNetworkKey(genesis, sources));
    await expectCode('KEY_MISMATCH', loadNetworkKey(genesis, { cacheDirectory, keyFile }));
  });

  test('of another circuit', async () => {
    const { genesis, keyFolder } = await network({ ...good, circuit: 'test-product' });
    const keyFile = join(keyFolder, 'test-product.json');
    await expectCode('KEY_MISMATCH', loadNetworkKey(genesis, { cacheDirectory, keyFile }));
  });

  test('that is missing', async () => {
    const { genesis } = await network(good);
    const keyFile = join(root, 'none.json');
    await expectCode('KEY_MISMATCH', loadNetworkKey(genesis, { cacheDirectory }));
    await expectCode('NOT_FOUND', loadNetworkKey(genesis, { cacheDirectory, keyFile }));
  });

  test.each([
    ['a digit of which changed', (text: string) => text.replace(/"nPublic": \d+/, '"nPublic": 3')],
    ['with a field that is none', (text: string) => text.replace('{', '{ "approved": true,')],
    ['that is cut off', (text: string) => text.slice(0, -10)],
  ])('in a file %s', async (_, edit) => {
    const { genesis, sources, keyFolder } = await network(good);
    const path = join(keyFolder, `${circuit.name}.json`);
    await writeFile(path, edit(await readFile(path, 'utf8')));
    await expectCode('KEY_MISMATCH', loadNetworkKey(genesis, sources));
  });

  test('with γ = δ, insecure-dev or not', async () => {
    const { verificationKey } = good;
    const bare = withKey(good, { ...verificationKey, vk_delta_2: verificationKey.vk_gamma_2 });
    await refused('KEY_INSECURE', bare);
    await refused('KEY_INSECURE', bare, true);
  });
});

describe('unless genesis says insecure-dev, a network refuses a key', () => {
  test('of the development setup', async () => {
    await refused('KEY_INSECURE', development);
    await load(development, true);
  });

  test('of the development setup that claims a ceremony', async () => {
    await refused('KEY_INSECURE', withKey(good, development.verificationKey));
  });

  test('with the development phase 1 and another δ', async () => {
    const { r1cs } = await loadCircuitArtefacts(PRODUCT_CIRCUIT);
    const curve = await buildBn128(true);
    const secrets = { ...insecureDevSecrets(), delta: 12_345n };
    const key = verificationKeyOf(curve, await groth16Setup(curve, parseR1cs(await readFile(r1cs)), secrets));
    await refused('KEY_INSECURE', withKey(good, key));
  });

  test('to which nobody contributed', async () => {
    await refused('KEY_INSECURE', changed({ contributions: [] }));
  });

  test('that has only beacons', async () => {
    const contributions = good.provenance.contributions.map(({ hash, record }) => ({
      kind: 'beacon' as const,
      ...{ value: toHex(new Uint8Array(32)), iterationsExp: 10, source: 'nowhere', hash, record },
    }));
    await refused('KEY_INSECURE', changed({ contributions }));
    await load(changed({ contributions }), true);
  });

  test('whose phase 1 nobody verified', async () => {
    const phase1 = { ...good.provenance.phase1, verified: false };
    await refused('KEY_INSECURE', changed({ phase1 }));
    await load(changed({ phase1 }), true);
  });
});

describe('a key file is refused, insecure-dev or not,', () => {
  test.each([false, true])(
    'with the contributions of another ceremony (insecure-dev: %s)',
    async (insecureDev) => {
      const { contributions, circuitHash } = elsewhere;
      await refused('KEY_MISMATCH', changed({ contributions, circuitHash }), insecureDev);
    },
  );

  test.each([false, true])('without the last contribution (insecure-dev: %s)', async (insecureDev) => {
    const contributions = good.provenance.contributions.slice(0, 1);
    await refused('KEY_MISMATCH', changed({ contributions }), insecureDev);
  });

  test('without the first contribution', async () => {
    await refused(
      'CEREMONY_CONTRIBUTION',
      changed({ contributions: good.provenance.contributions.slice(1) }),
    );
  });

  test('with a contribution under another hash', async () => {
    const [ada, bob] = good.provenance.contributions;
    await refused('CEREMONY_CONTRIBUTION', changed({ contributions: [{ ...ada!, hash: bob!.hash }, bob!] }));
  });

  test('with a contribution that was altered, though its hash agrees', async () => {
    const [ada, bob] = good.provenance.contributions;
    const bytes = fromHex(bob!.record);
    bytes.set(fromHex(ada!.record).subarray(0, 64));
    const altered = { ...bob!, record: toHex(bytes), hash: contributionHash({ record: bytes }) };
    await refused('CEREMONY_CONTRIBUTION', changed({ contributions: [ada!, altered] }));
  });
});

describe('proving with the key of a ceremony', () => {
  let file: KeyFile;

  beforeAll(async () => {
    const { r1cs } = await loadCompiledCircuit(circuit, { cacheDirectory });
    file = changed({ r1csSha256: toHex(sha256(await readFile(r1cs))) });
  });

  test('takes the proving key that is given, beside the compiled circuit', async () => {
    const { genesis, sources } = await network(file);
    const files = await loadNetworkProver(genesis, { ...sources, provingKey: zkey });
    expect(files).toEqual({
      zkey,
      wasm: join(cacheDirectory, 'circuits', `${circuit.name}-compiled`, 'circuit.wasm'),
      verificationKey: good.verificationKey,
    });
  });

  test('finds the proving key in the cache by its hash', async () => {
    const { genesis, sources } = await network(file);
    await expectCode('NOT_FOUND', loadNetworkProver(genesis, sources));
    const cached = join(cacheDirectory, 'keys', `${good.provenance.zkeySha256.slice(2)}.zkey`);
    await mkdir(join(cacheDirectory, 'keys'));
    await writeFile(cached, await readFile(zkey));
    expect((await loadNetworkProver(genesis, sources)).zkey).toBe(cached);
  });

  test('refuses another proving key', async () => {
    const { genesis, sources } = await network(file);
    const provingKey = join(root, 'first', '0001.zkey');
    await expectCode('KEY_MISMATCH', loadNetworkProver(genesis, { ...sources, provingKey }));
  });

  test('refuses a circuit that compiles to something else than the ceremony’s', async () => {
    const { genesis, sources } = await network(changed({ r1csSha256: toHex(sha256(utf8('another'))) }));
    await expectCode('KEY_MISMATCH', loadNetworkProver(genesis, { ...sources, provingKey: zkey }));
  });

  test('gives proofs that hold under it, and under no other key', async () => {
    const { wasm, zkey: developmentKey } = await loadCircuitArtefacts(PRODUCT_CIRCUIT);
    const verifier = await createVerifier(good.verificationKey);
    const proven = await (await createProver({ wasm, zkey })).prove(productInput());
    await verifier.verify(proven.publicSignals, proven.proof);
    const other = await (await createProver({ wasm, zkey: developmentKey })).prove(productInput());
    await expectCode('PROOF_INVALID', verifier.verify(other.publicSignals, other.proof));
  });
});
