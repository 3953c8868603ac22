import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { z } from 'zod';
import { parseReply, parseUrl } from '../../rollouts/http.ts';
import { parseArguments } from '../../src/cli/arguments.ts';
import type { AnyCommand } from '../../src/cli/command.ts';
import { createKeystore, inspectKeystore } from '../../src/cli/keystore.ts';
import { COMMANDS, loadCommand } from '../../src/cli/registry.ts';
import { entryBytes, parseEntry } from '../../src/ledger/entry.ts';
import { checkHead, headSchema } from '../../src/ledger/head.ts';
import { parseGenesis } from '../../src/params/genesis.ts';
import { parseArchitecture } from '../../src/policy/quantiser.ts';
import { policyFromTensorBytes, tensorBytes } from '../../src/policy/snapshot.ts';
import { beginTranscript, extendTranscript, parseTranscript } from '../../src/proofs/ceremony/transcript.ts';
import { decodeProof, encodeProof } from '../../src/proofs/encoding.ts';
import { committedKeys, readKeyFile } from '../../src/proofs/key-file.ts';
import { parseVerificationKey } from '../../src/proofs/verification-key.ts';
import * as api from '../../src/protocol/api.ts';
import { equalBytes, utf8 } from '../../src/protocol/bytes.ts';
import { canonicalText } from '../../src/protocol/canonical.ts';
import { CODES } from '../../src/protocol/codes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { messageDigest, parseMessage } from '../../src/protocol/messages.ts';
import {
  acknowledgementSchema,
  clientFrameSchema,
  receiptSchema,
  serverFrameSchema,
} from '../../src/protocol/wire.ts';
import { signManifest, verifyManifest } from '../../src/pulse/chain/index.ts';
import { NetworkState } from '../../src/replica/state.ts';
import { parseStorageUrl } from '../../src/storage/open-storage.ts';
import { parseHeader } from '../../src/storage/safetensors/header.ts';
import { parseIndex } from '../../src/storage/safetensors/index-file.ts';
import { layoutBytes, parseLayout } from '../../src/storage/safetensors/layout-bytes.ts';
import { decodeTrainerState, encodeTrainerState, initialise } from '../../src/training/index.ts';
import { NetworkDirectory } from '../../verifier/directory.ts';
import { parseJson } from '../../verifier/json-body.ts';
import { DEFAULT_LIMITS } from '../../verifier/limits.ts';
import { formatTraceparent, parseTraceparent } from '../../verifier/trace.ts';
import { KEYS, named, TestNetwork } from '../helpers/network.ts';
import { mutatedBytes, mutatedJson, type Random } from '../support/fuzz.ts';
import { denseArchitecture, randomPolicy, seededRandom } from '../support/pulse.ts';

/** Inputs of all parsers together. */
const TOTAL = process.env.GRAIL_LONG ? 1_200_000 : 40_000;
const TIMEOUT_MS = process.env.GRAIL_LONG ? 7_200_000 : 300_000;
/** What no input may take: far more than any does, as tests share a machine. */
const MOST_MS = 3_000;

/** A parser of something from outside. */
interface Parser {
  readonly name: string;
  /** Sound inputs, from which others are made. */
  readonly seeds: readonly Uint8Array[];
  /** JSON is altered in its tree, other formats in their bytes. */
  readonly json?: boolean;
  /**
   * Parses. Gives back what was understood, in the form of the input, or null where that says less than the input. May throw
   * GrailErrors, and nothing else.
   */
  readonly parse: (input: Uint8Array) => Uint8Array | string | null | Promise<Uint8Array | string | null>;
  /** Members named `__proto__` may be passed over: nobody would ever read them. */
  readonly drops?: boolean;
  /** Share of inputs, where they take long. */
  readonly weight?: number;
}

const folder = mkdtempSync(join(tmpdir(), 'grail-fuzz-'));
const network = new TestNetwork();
afterAll(() => {
  network.remove();
  rmSync(folder, { recursive: true, force: true });
});

const json = (value: unknown) => utf8(JSON.stringify(value));
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** What JSON.parse makes of a text, in one form. */
function meaning(input: Uint8Array, drops = false): string {
  const kept = (name: string, value: unknown) => (drops && name === '__proto__' ? undefined : value);
  return canonicalText(JSON.parse(textOf(input), kept));
}

/** A schema of an answer, as the miner's client uses it. */
function answer(name: string, schema: z.ZodType, value: unknown): Parser {
  schema.parse(value);
  return {
    name,
    json: true,
    drops: true,
    seeds: [json(value)],
    parse: (input) => canonicalText(parseReply(schema, input)),
  };
}

/** A parser that reads a file. */
function file(path: string, read: () => unknown): Parser['parse'] {
  return async (input) => {
    writeFileSync(path, input);
    await read();
    return null;
  };
}

async function parsers(): Promise<Parser[]> {
  await network.run(0);
  const { miner, other, genesis, state, ledger } = network;
  const messages = [
    miner.register(),
    miner.enrol(1),
    miner.commit(0),
    miner.opening(0),
    miner.proof(0, 1),
    other.enrol(1, 4),
  ];
  const entries = [...ledger.range()];
  const head = await network.head();
  const receipt = await network.receipt(0, KEYS.miner.address);
  const acknowledgement = await network.submit(miner.enrol(1));
  const [leaf, size] = [named('leaf'), ledger.size];
  const refusal = { code: 'BAD_REQUEST', message: 'no', details: { path: ['window'] } };
  const frames = [
    { type: 'hello', genesisHash: named('genesis'), size },
    { type: 'entry', index: 1, entry: entries[1]!.entry },
    { type: 'synced', size },
    { type: 'refused', miner: KEYS.miner.address, window: 0, message: 'commit', error: refusal },
    { type: 'evaluation', version: 1, meanReturn: 20.5, episodes: 100 },
    { type: 'error', error: refusal },
  ];

  const architecture = denseArchitecture([4, 8, 2], 1024);
  const policy = randomPolicy(architecture, seededRandom(7));
  const { state: trainerState } = initialise(genesis);
  const manifest = await signManifest(KEYS.miner, {
    ...{ format: 'pulse-manifest/1', chain: 'run', sequence: 1, step: 1, kind: 'patch', baseStep: 0 },
    ...{ baseId: named('a'), targetId: named('b'), previous: named('manifest') },
    history: {
      needs: { steps: 0, tag: '0x0000000000000000' },
      gives: { steps: 1, tag: '0x0102030405060708' },
    },
    blob: { hash: named('blob'), bytes: 100 },
    publisher: KEYS.miner.address,
  });
  const wide = named('x').slice(2);
  const transcript = extendTranscript(
    beginTranscript(
      {
        ...{ format: 1, circuit: 'spot-check-folds-b8', circuitHash: `0x${wide}${wide}` },
        spec: { architecture, stepsPerProof: 4, variant: 'folds' },
        ...{ sourceSha256: named('source'), r1csSha256: named('r1cs') },
        phase1: { sha256: named('phase 1'), power: 14, contributions: 3, verified: true },
        tools: { snarkjs: '0.7.6' },
      },
      named('zkey 0'),
    ),
    { kind: 'contribution', zkeySha256: named('zkey 1'), name: 'Ada', contributionHash: `0x${wide}${wide}` },
  );
  const keyName = readdirSync(committedKeys()).find((name) => name.endsWith('.json'))!;
  const keyFile = JSON.parse(readFileSync(join(committedKeys(), keyName), 'utf8'));
  const tensors = {
    __metadata__: { format: 'pt' },
    a: { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] },
    b: { dtype: 'BF16', shape: [4], data_offsets: [24, 32] },
  };
  const layout = (folder: boolean, names: string[]) =>
    layoutBytes({
      folder,
      files: names.map((name) => ({ name, header: parseHeader(json(tensors), 'seed') })),
      index: folder ? json({ weight_map: { a: 'x.safetensors' } }) : null,
    });
  const keystore = join(folder, 'keystore.json');
  await createKeystore(join(folder, 'seed.json'), 'password', 'fast');
  const directory = join(folder, 'network');
  mkdirSync(directory);
  const operator = {
    warning: 'keys',
    verifierKey: named('key'),
    beaconSecrets: [named('beacon 0'), named('beacon 1')],
  };
  const commands: AnyCommand[] = await Promise.all(COMMANDS.map(({ name }) => loadCommand(name)));
  const commandLines = commands.flatMap((_, index) => [
    [String(index), '--dir', 'x', '--json', '--port=7420', '--windows', '3', '--seed', '1'],
    [String(index), '--verifier', 'http://127.0.0.1:7420', '--keystore=k.json', '--threads', '2', 'a', 'b'],
  ]);
  const urls = [
    'http://127.0.0.1:7420/',
    'https://user:secret@example.org:8443/a/b?c=d#e',
    'postgres://grail:hunter2@db.example.org:5432/grail',
    's3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=us-east-1&forcePathStyle=true',
    'nats://user:hunter2@127.0.0.1:4222',
    'tls://hunter2@[::1]:4222',
    '/var/lib/grail/blobs',
  ];

  return [
    {
      name: 'a message from the wire',
      json: true,
      seeds: messages.map(json),
      parse: (input) => {
        const message = parseMessage(parseJson(input, DEFAULT_LIMITS.jsonDepth));
        messageDigest(state.domain, message);
        return canonicalText(message);
      },
      weight: 4,
    },
    {
      name: 'a message at the gate of the network',
      json: true,
      seeds: messages.map(json),
      parse: (input) => {
        state.admit(parseMessage(parseJson(input, DEFAULT_LIMITS.jsonDepth)));
        return null;
      },
    },
    {
      name: 'a frame of a client',
      json: true,
      seeds: [
        json({ type: 'ping' }),
        json({ type: 'subscribe', from: 3, entries: 'closers', miner: KEYS.miner.address }),
        json({ type: 'subscribe', from: 0, entries: 'all' }),
      ],
      parse: (input) => {
        const result = clientFrameSchema.safeParse(parseJson(input, DEFAULT_LIMITS.jsonDepth));
        if (!result.success) throw new GrailError('BAD_REQUEST', 'no frame');
        // What is left out is filled in.
        return 'entries' in JSON.parse(textOf(input)) ? canonicalText(result.data) : null;
      },
    },
    {
      name: 'an entry',
      json: true,
      seeds: entries.map(({ bytes }) => bytes),
      parse: (input) => entryBytes(parseEntry(input)),
      weight: 2,
    },
    {
      name: 'an entry, by a replica',
      json: true,
      seeds: entries.map(({ bytes }) => bytes),
      parse: (input) => {
        const replica = new NetworkState(genesis);
        replica.apply(NetworkState.genesisEntry(genesis));
        replica.apply(parseEntry(input));
        return null;
      },
    },
    {
      name: 'a tree head',
      json: true,
      seeds: [json(head)],
      parse: (input) => {
        const result = headSchema.safeParse(parseJson(input, DEFAULT_LIMITS.jsonDepth));
        if (!result.success) throw new GrailError('BAD_REQUEST', 'no head');
        checkHead(state.domain, result.data);
        return canonicalText(result.data);
      },
    },
    {
      name: 'a genesis document',
      json: true,
      seeds: [json(genesis)],
      parse: (input) => canonicalText(parseGenesis(parseJson(input, 32))),
      weight: 2,
    },
    {
      name: 'an architecture',
      json: true,
      seeds: [json(architecture), json(genesis.architecture)],
      parse: (input) => canonicalText(parseArchitecture(parseJson(input, 32))),
    },
    {
      name: 'a keystore',
      json: true,
      seeds: [readFileSync(join(folder, 'seed.json'))],
      parse: file(keystore, () => inspectKeystore(keystore)),
      weight: 0.3,
    },
    {
      name: 'a key file',
      json: true,
      seeds: [json(keyFile)],
      parse: file(join(folder, 'key.json'), () => readKeyFile(join(folder, 'key.json'))),
      weight: 0.2,
    },
    {
      name: 'an operator file',
      json: true,
      seeds: [json(operator)],
      parse: file(join(directory, 'operator.json'), () => new NetworkDirectory(directory).secrets()),
      weight: 0.3,
    },
    {
      name: 'a verification key',
      json: true,
      seeds: [json(keyFile.verificationKey)],
      parse: (input) => canonicalText(parseVerificationKey(parseJson(input, 32))),
    },
    {
      name: 'a snapshot of a policy',
      seeds: [tensorBytes(policy)],
      parse: (input) => tensorBytes(policyFromTensorBytes(architecture, input)),
    },
    {
      name: 'a trainer state',
      seeds: [encodeTrainerState(trainerState)],
      parse: (input) =>
        encodeTrainerState(decodeTrainerState(genesis.architecture, genesis.algorithm, input)),
    },
    {
      name: 'a proof',
      seeds: [encodeProof([1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n])],
      parse: (input) => encodeProof(decodeProof(input)),
    },
    {
      name: 'a PULSE manifest',
      json: true,
      seeds: [json(manifest)],
      parse: (input) =>
        canonicalText(verifyManifest(parseJson(input, 8), { chain: 'run', publisher: KEYS.miner.address })),
    },
    {
      name: 'a safetensors header',
      json: true,
      seeds: [json(tensors)],
      parse: (input) => parseHeader(input, 'x').bytes,
    },
    {
      name: 'an index of safetensors files',
      json: true,
      seeds: [json({ metadata: { total_size: 32 }, weight_map: { a: 'x.safetensors', b: 'y.safetensors' } })],
      parse: (input) => {
        parseIndex(input, 'x');
        return null;
      },
    },
    {
      name: 'a layout in a patch',
      seeds: [layout(false, ['']), layout(true, ['x.safetensors', 'y.safetensors'])],
      parse: (input) => layoutBytes(parseLayout(input)),
    },
    {
      name: 'a ceremony’s transcript',
      json: true,
      seeds: [utf8(`${canonicalText(transcript)}\n`)],
      parse: (input) => `${canonicalText(parseTranscript(textOf(input)))}\n`,
    },
    {
      name: 'a trace from a header',
      seeds: [utf8(`00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`)],
      parse: (input) => {
        const span = parseTraceparent(textOf(input));
        if (span === null) throw new GrailError('BAD_REQUEST', 'it is dropped');
        // Flags that nobody knows yet are left out.
        expect(parseTraceparent(formatTraceparent(span))).toEqual(span);
        return null;
      },
    },
    {
      name: 'a command line',
      json: true,
      seeds: commandLines.map(json),
      parse: (input) => {
        const [index, ...argv] = textOf(input)
          .split(/[[\]",]+/)
          .slice(1);
        parseArguments(commands[Number(index)] ?? commands[0]!, argv);
        return null;
      },
      weight: 2,
    },
    {
      name: 'the address of a verifier',
      seeds: urls.map(utf8),
      parse: (input) => {
        parseUrl(textOf(input));
        return null;
      },
    },
    ...(['database', 'blobs', 'bus'] as const).map(
      (role): Parser => ({
        name: `the place of a ${role}`,
        seeds: urls.map(utf8),
        parse: (input) => {
          const { kind, name } = parseStorageUrl(role, textOf(input));
          // One of few characters may stand elsewhere, too.
          const password = URL.parse(textOf(input))?.password ?? '';
          if (kind !== 'folder' && password.length > 4) expect(name).not.toContain(password);
          return null;
        },
      }),
    ),
    answer('an acknowledgement', acknowledgementSchema, acknowledgement),
    answer('a receipt', receiptSchema, receipt),
    answer('an answer with the status', api.statusSchema, network.status()),
    answer('an answer with entries', api.entriesSchema, {
      ...{ from: 1, size },
      entries: entries.slice(1).map(({ entry }) => entry),
    }),
    answer('an answer with an entry', api.indexedEntrySchema, { index: 1, leaf, entry: entries[1]!.entry }),
    answer('an answer with a head', api.headAnswerSchema, head),
    answer('an inclusion proof', api.inclusionSchema, {
      index: 1,
      size,
      leaf,
      root: leaf,
      proof: [leaf, leaf],
    }),
    answer('a consistency proof', api.consistencySchema, {
      ...{ from: 1, to: size, fromRoot: leaf, toRoot: leaf },
      proof: [leaf],
    }),
    answer('a refusal', api.failureSchema, { error: refusal }),
    ...frames.map((frame) => answer(`a frame of a verifier: ${frame.type}`, serverFrameSchema, frame)),
  ];
}

/** Whether a parser understood an input. What it throws that is no coded error, or what it makes of it that is not it, fails. */
async function probe({ parse, json: isJson, drops }: Parser, input: Uint8Array): Promise<boolean> {
  let understood: Uint8Array | string | null;
  try {
    understood = await parse(input);
  } catch (error) {
    if (error instanceof GrailError && Object.hasOwn(CODES, error.code)) return false;
    throw error;
  }
  if (understood === null) return true;
  const bytes = typeof understood === 'string' ? utf8(understood) : understood;
  if (equalBytes(bytes, input)) return true;
  // JSON has many texts for one value; where one of them is demanded, the parser has compared it.
  if (isJson && typeof understood === 'string' && meaning(bytes, drops) === meaning(input, drops))
    return true;
  throw new Error(`it was taken for ${textOf(bytes).slice(0, 500)}`);
}

let all: Parser[] = [];
beforeAll(async () => {
  all = await parsers();
});

test('every parser takes its sound inputs', async () => {
  for (const parser of all) {
    for (const seed of parser.seeds) {
      const understood = await probe(parser, seed).catch((error) => String(error));
      // A message is admitted only in its phase, an entry applied in its place; a command has its own flags, a place its URLs.
      const depends = /gate|replica|command|the address|the place/.test(parser.name);
      if (!depends) expect([parser.name, understood]).toEqual([parser.name, true]);
    }
  }
});

test(
  `${TOTAL} altered inputs of all parsers are refused with a code, or are what they were taken for`,
  async () => {
    const weights = all.reduce((sum, { weight = 1 }) => sum + weight, 0);
    let count = 0;
    for (const [place, parser] of all.entries()) {
      const random: Random = seededRandom(1_000 + place);
      const { seeds, json: isJson, weight = 1 } = parser;
      const own = Math.ceil((TOTAL * weight) / weights);
      let understood = 0;
      for (let i = 0; i < own; i++) {
        const seed = seeds[random(seeds.length)]!;
        const foreign = seeds[random(seeds.length)]!;
        const input = isJson
          ? mutatedJson(JSON.parse(textOf(seed)), JSON.parse(textOf(foreign)), random)
          : mutatedBytes(seed, foreign, random);
        const began = performance.now();
        try {
          if (await probe(parser, input)) understood += 1;
        } catch (error) {
          const shown = isJson ? textOf(input) : Buffer.from(input).toString('hex');
          throw new Error(`${parser.name}, input ${i}: ${shown.slice(0, 2_000)}`, { cause: error });
        }
        const took = performance.now() - began;
        if (took > MOST_MS) expect.fail(`${parser.name}, input ${i} took ${took} ms`);
      }
      count += own;
      // Were none of them refused, they would say little.
      expect([parser.name, understood < own]).toEqual([parser.name, true]);
    }
    expect(count).toBeGreaterThanOrEqual(TOTAL);
    expect(Object.getOwnPropertyNames(Object.prototype).filter((name) => name === 'x')).toEqual([]);
  },
  TIMEOUT_MS,
);
