import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test } from 'vitest';
import type { CeremonyCircuit } from '../../src/proofs/ceremony/circuit.ts';
import { contributionHash } from '../../src/proofs/ceremony/contributions.ts';
import { createCeremony } from '../../src/proofs/ceremony/create.ts';
import { addBeacon, contribute } from '../../src/proofs/ceremony/extend.ts';
import { hashPhaseOne } from '../../src/proofs/ceremony/phase-one.ts';
import { readTranscript } from '../../src/proofs/ceremony/transcript.ts';
import { verifyCeremony } from '../../src/proofs/ceremony/verify.ts';
import { readCeremonyKey } from '../../src/proofs/ceremony/zkey.ts';
import type { Hex } from '../../src/protocol/bytes.ts';
import type { Code } from '../../src/protocol/codes.ts';
import {
  type ForgedShare,
  forgeContributions,
  forgeSection,
  forgeShare,
  forgeTranscript,
} from '../helpers/ceremony-forgery.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { endSnarkjs, makePhaseOne, SMALL_CIRCUIT } from '../helpers/small-ceremony.ts';

const BEACON = { value: `0x${'ab'.repeat(32)}`, iterationsExp: 10, source: 'block 17' };
const circuit = SMALL_CIRCUIT;
/** A circuit of the same size, so that nothing but its points differs. */
const OTHER: CeremonyCircuit = {
  name: 'test-other',
  source: SMALL_CIRCUIT.source.replace('folds[0] + 1', 'folds[0] + 2'),
  spec: null,
};
let folder: string;
let phaseOne: string;
/** Ada, Bob, beacon; and the same without the beacon. */
let whole: string;
let open: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'grail-tampering-'));
  phaseOne = (await makePhaseOne(folder)).prepared;
  open = join(folder, 'open');
  whole = join(folder, 'whole');
  await createCeremony(open, circuit, phaseOne);
  await contribute(open, { name: 'Ada', entropy: null });
  await contribute(open, { name: 'Bob', entropy: null });
  await cp(open, whole, { recursive: true });
  await addBeacon(whole, BEACON);
});

afterAll(async () => {
  await endSnarkjs();
  await rm(folder, { recursive: true });
});

async function copyOf(directory: string): Promise<string> {
  const copy = await mkdtemp(join(folder, 'copy-'));
  await cp(directory, copy, { recursive: true });
  return copy;
}

const refused = (code: Code, directory: string, file = phaseOne) =>
  expectCode(code, verifyCeremony(directory, { phaseOne: file, circuit }));

describe('a transcript is refused', () => {
  const editText = async (edit: (text: string) => string) => {
    const copy = await copyOf(whole);
    const path = join(copy, 'transcript.json');
    await writeFile(path, edit(await readFile(path, 'utf8')));
    return copy;
  };

  test.each([
    ['in which a name was changed', (text: string) => text.replace('"Ada"', '"Eve"')],
    ['in which the circuit was changed', (text: string) => text.replace('test-product', 'test-other')],
    ['with a field that is none', (text: string) => text.replace('{', '{"approved":true,')],
    ['that is spelt in another way', (text: string) => text.replace(',', ', ')],
    ['that is cut off', (text: string) => text.slice(0, -10)],
    [
      'that claims an unchecked phase 1',
      (text: string) => text.replace('"verified":true', '"verified":false'),
    ],
  ])('%s', async (_, edit) => {
    await refused('CEREMONY_TRANSCRIPT', await editText(edit));
  });

  test('whose newest key is missing', async () => {
    const copy = await copyOf(whole);
    await rm(join(copy, '0003.zkey'));
    await refused('CEREMONY_TRANSCRIPT', copy);
  });

  test('that tells another number of contributions to phase 1', async () => {
    const copy = await copyOf(whole);
    await forgeTranscript(copy, (transcript) => {
      transcript.phase1 = { ...transcript.phase1, contributions: 80 };
    });
    await refused('CEREMONY_TRANSCRIPT', copy);
  });
});

describe('a contribution is refused', () => {
  test('that another one replaced, under the same name', async () => {
    const copy = await mkdtemp(join(folder, 'copy-'));
    for (const file of ['0000.zkey', '0001.zkey', 'circuit.r1cs', 'transcript.json']) {
      await cp(join(open, file), join(copy, file));
    }
    await forgeTranscript(copy, (transcript) => {
      transcript.steps = transcript.steps.slice(0, 2);
    });
    await contribute(copy, { name: 'Bob', entropy: null });
    const original = JSON.parse(await readFile(join(open, 'transcript.json'), 'utf8'));
    await forgeTranscript(copy, (transcript) => {
      transcript.steps = original.steps;
    });
    await refused('CEREMONY_CONTRIBUTION', copy);
  });

  test('that the transcript drops', async () => {
    const copy = await copyOf(open);
    await cp(join(copy, '0002.zkey'), join(copy, '0001.zkey'));
    await forgeTranscript(copy, (transcript) => {
      transcript.steps = [transcript.steps[0]!, transcript.steps[2]!];
    });
    await refused('CEREMONY_CONTRIBUTION', copy);
  });

  test('that the key drops as well', async () => {
    const copy = await copyOf(open);
    await cp(join(copy, '0002.zkey'), join(copy, '0001.zkey'));
    await forgeContributions(join(copy, '0001.zkey'), (list) => list.splice(0, 1));
    await forgeTranscript(copy, (transcript) => {
      transcript.steps = [transcript.steps[0]!, transcript.steps[2]!];
    });
    await refused('CEREMONY_CONTRIBUTION', copy);
  });

  test('that changed places with another in the transcript', async () => {
    const copy = await copyOf(open);
    await forgeTranscript(copy, (transcript) => {
      const [first, ada, bob] = transcript.steps;
      transcript.steps = [first!, bob!, ada!];
    });
    await refused('CEREMONY_CONTRIBUTION', copy);
  });

  test('that changed places with another in the key as well', async () => {
    const copy = await copyOf(open);
    await forgeContributions(join(copy, '0002.zkey'), (list) => list.reverse());
    await forgeTranscript(copy, (transcript) => {
      const [first, ada, bob] = transcript.steps;
      transcript.steps = [first!, bob!, ada!];
    });
    await refused('CEREMONY_CONTRIBUTION', copy);
  });

  test('that the transcript gives another name', async () => {
    const copy = await copyOf(open);
    await forgeTranscript(copy, ({ steps }) => Object.assign(steps[1]!, { name: 'Eve' }));
    await refused('CEREMONY_CONTRIBUTION', copy);
  });

  test('that was a beacon', async () => {
    const copy = await copyOf(whole);
    await forgeTranscript(copy, (transcript) => {
      const {
        contributionHash: hash,
        zkeySha256,
        previous,
      } = transcript.steps[3] as never as Record<string, Hex>;
      transcript.steps[3] = {
        kind: 'contribution',
        name: 'Eve',
        contributionHash: hash!,
        zkeySha256: zkeySha256!,
        previous: previous!,
      };
    });
    await refused('CEREMONY_CONTRIBUTION', copy);
  });
});

/** A transcript that says what the forged key says of its last contribution. */
async function follow(directory: string): Promise<void> {
  const { contributions } = await readCeremonyKey(join(directory, '0002.zkey'));
  await forgeTranscript(directory, ({ steps }) => {
    Object.assign(steps[2]!, { contributionHash: contributionHash(contributions[1]!) });
  });
}

describe('a contributor', () => {
  const contributed = async (share: Omit<ForgedShare, 'base'> & { base: '0000.zkey' | '0001.zkey' }) => {
    const copy = await copyOf(open);
    await forgeShare(join(copy, '0002.zkey'), { ...share, base: join(open, share.base) });
    await follow(copy);
    return copy;
  };

  test('may know its own share, as long as it multiplies what was there', async () => {
    const copy = await contributed({ base: '0001.zkey', share: 5n, s: 5n, sp: 5n });
    await verifyCeremony(copy, { phaseOne, circuit });
  });

  test('cannot drop the shares before its own, and so know δ', async () => {
    await refused(
      'CEREMONY_CONTRIBUTION',
      await contributed({ base: '0000.zkey', share: 5n, s: 5n, sp: 5n }),
    );
  });

  test('cannot multiply by another share than the one that it proves to know', async () => {
    await refused(
      'CEREMONY_CONTRIBUTION',
      await contributed({ base: '0001.zkey', share: 7n, s: 5n, sp: 5n }),
    );
  });

  test('cannot prove a share that it does not know', async () => {
    await refused(
      'CEREMONY_CONTRIBUTION',
      await contributed({ base: '0001.zkey', share: 7n, s: 5n, sp: 7n }),
    );
  });

  test.each([
    ['the point at infinity', () => new Uint8Array(64)],
    ['a point of no curve', (point: Uint8Array) => point.map((byte, i) => (i === 0 ? byte ^ 1 : byte))],
  ])('cannot use %s', async (_, edit) => {
    const copy = await copyOf(open);
    await forgeContributions(join(copy, '0002.zkey'), ([, bob]) => {
      bob!.sx = edit(bob!.sx);
    });
    await follow(copy);
    await refused('CEREMONY_CONTRIBUTION', copy);
  });

  test.each([
    ['drops the shares before it', { base: '0000.zkey', share: 5n, s: 5n, sp: 5n }],
    ['is of a share that its maker did not know', { base: '0001.zkey', share: 7n, s: 5n, sp: 7n }],
    [
      'was made for something else',
      { base: '0001.zkey', share: 5n, s: 5n, sp: 5n, transcript: new Uint8Array(64).fill(7) },
    ],
  ] as const)('gets nothing added to a contribution that %s', async (_, forged) => {
    const copy = await contributed(forged);
    await expectCode('CEREMONY_CONTRIBUTION', contribute(copy, { name: 'Eve', entropy: null }));
  });
});

describe('a proving key is refused', () => {
  const forged = async (section: number, at: number) => {
    const copy = await copyOf(open);
    await forgeSection(join(copy, '0002.zkey'), section, (bytes) => {
      bytes[at]! ^= 1;
    });
    await forgeTranscript(copy, () => {});
    return copy;
  };

  test('one byte of which changed', async () => {
    const copy = await copyOf(open);
    await forgeSection(join(copy, '0002.zkey'), 5, (bytes) => {
      bytes[0]! ^= 1;
    });
    await refused('CEREMONY_KEY', copy);
  });

  test('of an earlier step, one byte of which changed', async () => {
    const copy = await copyOf(open);
    await forgeSection(join(copy, '0001.zkey'), 5, (bytes) => {
      bytes[0]! ^= 1;
    });
    await refused('CEREMONY_KEY', copy);
  });

  test('that is none', async () => {
    const copy = await copyOf(open);
    await writeFile(join(copy, '0002.zkey'), 'something else');
    await forgeTranscript(copy, () => {});
    await refused('CEREMONY_KEY', copy);
  });

  test.each([
    ['γ', 2, 84 + 256],
    ['δ', 2, 84 + 448],
    ['IC', 3, 0],
    ['the points that δ divides', 8, 0],
  ])('whose transcript agrees, when %s changed', async (_, section, at) => {
    await refused('CEREMONY_KEY', await forged(section, at));
  });

  test('whose δ is not the one that its contributions lead to', async () => {
    const copy = await copyOf(open);
    await forgeContributions(join(copy, '0002.zkey'), (list) => list.pop());
    await cp(join(copy, '0002.zkey'), join(copy, '0001.zkey'));
    await forgeTranscript(copy, (transcript) => {
      transcript.steps = transcript.steps.slice(0, 2);
    });
    await refused('CEREMONY_KEY', copy);
  });
});

describe('another circuit is refused', () => {
  let other: string;

  beforeAll(async () => {
    other = join(folder, 'other');
    await createCeremony(other, OTHER, phaseOne);
    await contribute(other, { name: 'Ada', entropy: null });
  });

  test('whose proving key stands in the place of the right one', async () => {
    const copy = await copyOf(open);
    await cp(join(other, '0001.zkey'), join(copy, '0002.zkey'));
    await forgeTranscript(copy, () => {});
    await refused('CEREMONY_CIRCUIT', copy);
  });

  test('whose whole ceremony goes by the name of the right one', async () => {
    const copy = await copyOf(other);
    await forgeTranscript(copy, (transcript) => {
      transcript.circuit = circuit.name;
    });
    await refused('CEREMONY_CIRCUIT', copy);
  });

  test('whose ceremony claims the right source as well', async () => {
    const right = await readTranscript(open);
    const copy = await copyOf(other);
    await forgeTranscript(copy, (transcript) => {
      transcript.circuit = circuit.name;
      transcript.sourceSha256 = right.sourceSha256;
    });
    await refused('CEREMONY_CIRCUIT', copy);
  });

  test('whose keys come with the right constraint system', async () => {
    const right = await readTranscript(open);
    const copy = await copyOf(other);
    await cp(join(open, 'circuit.r1cs'), join(copy, 'circuit.r1cs'));
    await forgeTranscript(copy, (transcript) => {
      transcript.circuit = circuit.name;
      transcript.sourceSha256 = right.sourceSha256;
      transcript.r1csSha256 = right.r1csSha256;
    });
    await refused('CEREMONY_CIRCUIT', copy);
  });

  test('where one byte of the constraint system in the folder changed', async () => {
    const copy = await copyOf(open);
    const path = join(copy, 'circuit.r1cs');
    const bytes = await readFile(path);
    bytes[bytes.length - 1]! ^= 1;
    await writeFile(path, bytes);
    await refused('CEREMONY_CIRCUIT', copy);
  });
});

describe('a beacon is refused', () => {
  test.each([
    ['value', { value: `0x${'cd'.repeat(32)}` }],
    ['number of iterations', { iterationsExp: 11 }],
  ])('of which the transcript gives another %s', async (_, change) => {
    const copy = await copyOf(whole);
    await forgeTranscript(copy, ({ steps }) => Object.assign(steps[3]!, change));
    await refused('CEREMONY_BEACON', copy);
  });

  test('that does not follow from its value, though key and transcript agree on it', async () => {
    const copy = await copyOf(whole);
    await forgeContributions(join(copy, '0003.zkey'), (list) => {
      // The value ends the parameters.
      list[2]!.rest.fill(0xcd, -32);
    });
    await forgeTranscript(copy, ({ steps }) => Object.assign(steps[3]!, { value: `0x${'cd'.repeat(32)}` }));
    await refused('CEREMONY_BEACON', copy);
  });

  test('that is not the last step', async () => {
    const copy = await copyOf(whole);
    await cp(join(copy, '0003.zkey'), join(copy, '0004.zkey'));
    await forgeTranscript(copy, (transcript) => {
      transcript.steps = [...transcript.steps, transcript.steps[1]!];
    });
    await refused('CEREMONY_BEACON', copy);
  });
});

describe('a phase 1 file is refused', () => {
  let altered: string;

  beforeAll(async () => {
    altered = join(folder, 'altered.ptau');
    await cp(phaseOne, altered);
    await forgeSection(altered, 2, (points) => {
      points[64 * 20]! ^= 1;
    });
  });

  test('one byte of which changed', async () => {
    await refused('CEREMONY_PHASE1', whole, altered);
  });

  test('one byte of which changed, though the transcript names it', async () => {
    const copy = await copyOf(whole);
    const sha256 = await hashPhaseOne(altered);
    await forgeTranscript(copy, (transcript) => {
      transcript.phase1 = { ...transcript.phase1, sha256 };
    });
    await refused('CEREMONY_PHASE1', copy, altered);
  });

  test('that is a good one, but another', async () => {
    const other = await makePhaseOne(await mkdtemp(join(folder, 'other-')));
    await refused('CEREMONY_PHASE1', whole, other.prepared);
  });
});
