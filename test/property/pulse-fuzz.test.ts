import { expect, test } from 'vitest';
import { policyRoot, tensorBytes } from '../../src/policy/snapshot.ts';
import { concat, equalBytes, fromHex, type Hex } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import {
  applyPolicyPatch,
  byteSource,
  decodePolicyAnchor,
  encodePolicyAnchor,
  encodePolicyPatch,
  FRESH,
  type HistoryHead,
  MemoryMarks,
  type MemoryTensors,
  readHeader,
  stateId,
  type TensorSpec,
} from '../../src/pulse/index.ts';
import { tensorsOf } from '../../src/pulse/policy.ts';
import {
  anchored,
  anchorOf,
  DTYPES,
  denseArchitecture,
  movedTensors,
  patched,
  patchOf,
  randomPolicy,
  randomTensors,
  randomUpdate,
  sameTensors,
  seededRandom,
} from '../support/pulse.ts';

/** Of all tests together. */
const total = process.env.GRAIL_LONG ? 1_000_000 : 20_000;
const options = { timeout: 1_200_000 };
const CODES = /^(PATCH_(FORMAT|BASE_MISMATCH|TARGET_MISMATCH|HISTORY_MISMATCH)|TOO_LARGE)$/;

type Random = (bound: number) => number;

/** Something that is decoded, and how. Its id stands at `idAt`. */
interface Subject {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly bodyAt: number;
  readonly idAt: number;
  readonly state: MemoryTensors;
  readonly decode: (bytes: Uint8Array) => MemoryTensors;
  /** The one encoding of a state in the way that `like` has. */
  readonly encode: (state: MemoryTensors, like: Uint8Array) => Uint8Array;
}

const FLAGS_AT = 6;
const OVERWRITES = 1;
const KEEPS_HISTORY = 2;

type Patched = Omit<Parameters<typeof patchOf>[0], 'base' | 'target' | 'marks'>;

function patchSubject(
  name: string,
  [base, state]: readonly [MemoryTensors, MemoryTensors],
  { marks, ...how }: Patched & { marks?: MemoryMarks } = {},
): Subject {
  const own = () => (marks === undefined ? how : { ...how, marks: marks.clone() });
  const { patch: bytes } = patchOf({ base, target: state, ...own() });
  return {
    ...{ name, bytes, state, idAt: 39, bodyAt: readHeader(byteSource(bytes)).headerBytes },
    decode: (altered) => patched(altered, { base, ...own() }).tensors,
    encode(target, like) {
      const flags = like[FLAGS_AT]!;
      // The first patch of a history is read by who has none, too.
      const kept = marks === undefined ? { marks: new MemoryMarks(base.specs) } : own();
      const ways = flags === KEEPS_HISTORY ? kept : { overwrite: flags === OVERWRITES };
      const { patch } = patchOf({ base, target, ...ways });
      // What an overwriting patch was made from is not compared: of another base it may hold what this one has already.
      const another = flags === OVERWRITES && !equalBytes(like.subarray(7, 39), patch.subarray(7, 39));
      return another ? like : patch;
    },
  };
}

function subjects(random: Random): Subject[] {
  const list: Subject[] = [];
  const add = (name: string, specs: TensorSpec[]) => {
    const states = [randomTensors(specs, random)] as [MemoryTensors, ...MemoryTensors[]];
    for (let i = 0; i < 4; i++) states.push(movedTensors(states[i]!, random, 250));
    const [first, second] = [states[0], states[1]!];
    list.push(patchSubject(`a patch of ${name}`, [first, second]));
    list.push(patchSubject(`a patch of ${name} that changes nothing`, [first, first]));
    list.push(patchSubject(`an overwriting patch of ${name}`, [first, second], { overwrite: true }));
    // Of a history: its first patch, and its fourth.
    const marks = new MemoryMarks(specs);
    list.push(
      patchSubject(`the first patch of a history of ${name}`, [first, second], { marks: marks.clone() }),
    );
    let head: HistoryHead = FRESH;
    for (let i = 0; i < 3; i++)
      head = patchOf({ base: states[i]!, target: states[i + 1]!, marks, head }).head;
    const ends = [states[3]!, states[4]!] as const;
    list.push(patchSubject(`a later patch of a history of ${name}`, ends, { marks, head }));
    const anchor = anchorOf(second);
    list.push({
      ...{ name: `an anchor of ${name}`, bytes: anchor, state: second, encode: anchorOf, idAt: 7 },
      bodyAt: readHeader(byteSource(anchor)).headerBytes,
      decode: (altered) => anchored(altered, { maxBytes: 10_000 }),
    });
  };
  for (const dtype of DTYPES) add(dtype, [{ name: 'w', dtype, shape: [3, 7] }]);
  const mixed: TensorSpec[] = [
    { name: 'a', dtype: 'bf16', shape: [2, 64] },
    { name: 'none', dtype: 'f32', shape: [0] },
    { name: 'b', dtype: 'int32', shape: [] },
    { name: 'c', dtype: 'bf16', shape: [5] },
  ];
  add('mixed types', mixed);
  return list;
}

function noise(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random(256));
}

/** Other bytes, made from these: of the code alone, or anywhere. */
function mutate(subject: Subject, other: Uint8Array, random: Random): Uint8Array {
  const { bytes, bodyAt } = subject;
  const from = random(4) === 0 ? 0 : bodyAt;
  const at = from + random(bytes.length - from + 1);
  const out = bytes.slice();
  switch (random(8)) {
    case 0:
    case 1:
      out[Math.min(at, out.length - 1)]! ^= 1 << random(8);
      return out;
    case 2:
      for (let i = 0; i <= random(6); i++) out[from + random(Math.max(1, out.length - from))] = random(256);
      return out;
    case 3:
      return out.subarray(0, at);
    case 4:
      return concat(out, random(2) === 0 ? noise(random, 1 + random(6)) : new Uint8Array(1 + random(9)));
    case 5:
      return concat(out.subarray(0, at), other.subarray(random(other.length)));
    case 6:
      return concat(out.subarray(0, at), Uint8Array.of(random(256)), out.subarray(at + random(3)));
    default:
      return concat(out.subarray(0, bodyAt), noise(random, random(random(2) === 0 ? 5 : 30)));
  }
}

/** What `read` gives, or the error with one of PULSE's codes; any other failure fails the test. */
function attempt<T>(read: () => T): { value: T } | { error: GrailError } {
  try {
    return { value: read() };
  } catch (error) {
    if (error instanceof GrailError && CODES.test(error.code)) return { error };
    throw error;
  }
}

/**
 * Decodes altered bytes. What is accepted must be the promised state, and the bytes its one encoding. What is refused because
 * it is another state gets that one's id, and must then be just that. Gives whether there was a state.
 */
function probe(subject: Subject, bytes: Uint8Array, where: string): boolean {
  let promised = bytes;
  let result = attempt(() => subject.decode(promised));
  if ('error' in result && result.error.code === 'PATCH_TARGET_MISMATCH') {
    promised = bytes.slice();
    promised.set(fromHex(result.error.details.got as Hex), subject.idAt);
    result = attempt(() => subject.decode(promised));
    if ('error' in result) expect.fail(`${where}: ${result.error.code} under its own id`);
  }
  if ('error' in result) return false;
  const { value } = result;
  const id = promised.subarray(subject.idAt, subject.idAt + 32);
  if (!equalBytes(stateId(value), id)) expect.fail(`${where}: another state than its id says`);
  if (
    equalBytes(id, subject.bytes.subarray(subject.idAt, subject.idAt + 32)) &&
    !sameTensors(value, subject.state)
  ) {
    expect.fail(`${where}: another state`);
  }
  if (!equalBytes(subject.encode(value, promised), promised)) expect.fail(`${where}: not its encoding`);
  return true;
}

test(
  'altered patches and anchors of every type are refused, or are the one encoding of a state',
  options,
  () => {
    const cases = 0.6 * total;
    const random = seededRandom(101);
    const list = subjects(random);
    const sound = new Map(list.map(({ name }) => [name, 0]));
    for (let i = 0; i < cases; i++) {
      const subject = list[i % list.length]!;
      const other = list[random(list.length)]!;
      const bytes = mutate(subject, other.bytes, random);
      if (probe(subject, bytes, `case ${i}, ${subject.name}`))
        sound.set(subject.name, sound.get(subject.name)! + 1);
    }
    // It says something only where altered codes often are codes of something.
    for (const [name, count] of sound) expect(count, name).toBeGreaterThan(cases / list.length / 100);
  },
);

test(
  'whatever random bytes a decoder accepts as code is what the encoder makes of the result',
  options,
  () => {
    const cases = 0.2 * total;
    const random = seededRandom(102);
    const list = subjects(random);
    let count = 0;
    for (let i = 0; i < cases; i++) {
      const subject = list[i % list.length]!;
      const body = noise(random, random(random(2) === 0 ? 4 : 24));
      const bytes = concat(subject.bytes.subarray(0, subject.bodyAt), body);
      if (probe(subject, bytes, `case ${i}, ${subject.name}`)) count++;
    }
    expect(count).toBeGreaterThan(cases / 100);
  },
);

test('altered patches and anchors of policies give the promised policy or none', options, () => {
  const cases = 0.1 * total;
  const random = seededRandom(103);
  const architecture = denseArchitecture([4, 6, 3], 1000);
  const policies = [randomPolicy(architecture, random)];
  for (let i = 0; i < 8; i++) policies.push(randomUpdate(policies[i]!, random, 50 + 100 * i));
  const roots = policies.map(policyRoot);
  const patches = policies
    .slice(1)
    .map((target, i) =>
      encodePolicyPatch({ base: policies[i]!, target, baseRoot: roots[i]!, targetRoot: roots[i + 1]! }),
    );
  const anchors = policies.map(encodePolicyAnchor);
  const subject = (bytes: Uint8Array): Subject =>
    ({ bytes, bodyAt: readHeader(byteSource(bytes)).headerBytes }) as Subject;
  const altered = [patches, anchors].map((all) => all.map(subject));
  for (let i = 0; i < cases; i++) {
    const which = random(patches.length);
    const other = random(patches.length);
    const patch = mutate(altered[0]![which]!, patches[other]!, random);
    const result = attempt(() => applyPolicyPatch(policies[which]!, roots[which]!, patch));
    if ('value' in result && !equalBytes(patch, patches[which]!)) expect.fail(`case ${i}`);
    const anchor = mutate(altered[1]![which]!, anchors[other]!, random);
    const decoded = attempt(() => decodePolicyAnchor(anchor));
    if (!('value' in decoded)) continue;
    const known = anchors.findIndex((bytes) => equalBytes(bytes, anchor));
    if (known === -1) expect.fail(`case ${i}`);
    expect(tensorBytes(decoded.value)).toEqual(tensorBytes(policies[known]!));
  }
  expect(policyRoot(policies[0]!)).toEqual(roots[0]);
});

test('codes between roots are those of their results too, and of policies in range', options, () => {
  const cases = 0.1 * total;
  const random = seededRandom(104);
  const architecture = denseArchitecture([4, 6, 3], 1000);
  const base = tensorsOf(randomPolicy(architecture, random));
  const root = new Uint8Array(32).fill(7);
  const roots = { base: root, target: root };
  const encode = (target: MemoryTensors) => patchOf({ base, target, roots }).patch;
  const state = movedTensors(base, random, 100);
  const bytes = encode(state);
  const bodyAt = readHeader(byteSource(bytes)).headerBytes;
  let count = 0;
  for (let i = 0; i < cases; i++) {
    const other = mutate({ bytes, bodyAt } as Subject, bytes, random);
    if (i % 2 === 0) other.set(bytes.subarray(0, Math.min(bodyAt, other.length)));
    const result = attempt(() => patched(other, { base, baseId: root, checksRoots: true }));
    if ('error' in result) continue;
    count++;
    const header = other.subarray(0, 71);
    const again = encode(result.value.tensors);
    again.set(header);
    if (!equalBytes(again, other)) expect.fail(`case ${i}`);
  }
  expect(count).toBeGreaterThan(cases / 100);
});
