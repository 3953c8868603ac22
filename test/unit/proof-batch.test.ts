import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  batchTranscript,
  batchWeights,
  findInvalid,
  MAX_BATCH,
  type ProvenStatement,
} from '../../src/proofs/batch.ts';
import { FIELD_ORDER } from '../../src/proofs/fields.ts';
import { checkProof } from '../../src/proofs/pairing/check.ts';
import { Engine } from '../../src/proofs/pairing/engine.ts';
import { Equation } from '../../src/proofs/pairing/equation.ts';
import { prepareKey } from '../../src/proofs/pairing/key.ts';
import { LineMaker } from '../../src/proofs/pairing/lines.ts';
import {
  createVerifier,
  type ProofVerifier,
  type VerificationKey,
  verificationKeyHash,
} from '../../src/proofs/verify.ts';
import { bigToBytes, fromHex, toHex } from '../../src/protocol/bytes.ts';
import { SimulatedKey, scalarOf, windowSignals } from '../helpers/simulated-proofs.ts';

const SIGNALS = 5;
const LONG = process.env.GRAIL_LONG !== undefined;
let simulated: SimulatedKey;
let verifier: ProofVerifier;
/** Valid proofs of one window, all different. */
let valid: ProvenStatement[];
let keyHash: Uint8Array;

beforeAll(async () => {
  simulated = await SimulatedKey.create(SIGNALS);
  verifier = await createVerifier(simulated.key);
  valid = Array.from({ length: 64 }, (_, i) => simulated.prove(windowSignals(SIGNALS, i), i));
  keyHash = fromHex(verificationKeyHash(simulated.key));
});

const codes = async (items: readonly ProvenStatement[], by = verifier) =>
  (await by.verifyMany(items)).map((error) => error?.code ?? null);

/** The batch's equation for weights that somebody chose. */
async function holdsWith(items: readonly ProvenStatement[], weights: readonly bigint[]): Promise<boolean> {
  const engine = await Engine.load();
  const maker = new LineMaker(engine);
  const key = prepareKey(engine, maker, simulated.key);
  const proofs = items.map((item) => checkProof(engine, maker, key.publicSignals, item));
  return new Equation(engine, key, async () => {}).holds(proofs, weights);
}

describe('two invalid proofs that cancel', () => {
  /** Proofs of items 0 and 1 with C off by +z₁·t and −z₀·t: the sum weighted by z₀ and z₁ is that of the valid ones. */
  function cancelling(weights: readonly [bigint, bigint]): ProvenStatement[] {
    const t = scalarOf('t');
    return [weights[1] * t, -weights[0] * t].map((shift, i) => {
      const { publicSignals } = valid[i]!;
      const { a, b, c } = simulated.logarithms(publicSignals, i);
      return { publicSignals, proof: simulated.encode({ a, b, c: c + shift }) };
    });
  }

  test('pass under the weights that they were made for', async () => {
    for (const weights of [
      [1n, 1n],
      [12345n, 2n ** 128n - 1n],
    ] as const) {
      expect(await holdsWith(cancelling(weights), weights)).toBe(true);
      expect(await holdsWith(cancelling(weights), [weights[0] + 2n, weights[1]])).toBe(false);
    }
  });

  test('are both refused by a verifier, alone and among valid ones', async () => {
    const pair = cancelling([1n, 1n]);
    expect(await codes(pair)).toEqual(['PROOF_INVALID', 'PROOF_INVALID']);
    expect(await codes([valid[2]!, pair[1]!, valid[3]!, pair[0]!, valid[4]!])).toEqual([
      null,
      'PROOF_INVALID',
      null,
      'PROOF_INVALID',
      null,
    ]);
  });

  test('made for the weights of the batch that they replace are refused: then the weights are others', async () => {
    const transcript = batchTranscript(keyHash, valid.slice(0, 2));
    const weights = batchWeights(transcript, 0, 2) as [bigint, bigint];
    const pair = cancelling(weights);
    expect(await holdsWith(pair, weights)).toBe(true);
    const own = batchWeights(batchTranscript(keyHash, pair), 0, 2);
    expect(await holdsWith(pair, own)).toBe(false);
    expect(await codes(pair)).toEqual(['PROOF_INVALID', 'PROOF_INVALID']);
  });
});

describe('the equation of a batch', () => {
  const weights = Array.from({ length: 9 }, (_, i) => scalarOf('weight', i) >> 126n);
  const shifted = (items: readonly ProvenStatement[], index: number, signal: number) => {
    const item = items[index]!;
    const publicSignals = item.publicSignals.with(signal, item.publicSignals[signal]! ^ 1n);
    return items.with(index, { ...item, publicSignals });
  };

  test('holds for valid proofs of one window, whatever the weights, and for no changed signal', async () => {
    const items = valid.slice(0, 9);
    expect(await holdsWith(items, weights)).toBe(true);
    for (const index of [0, 8]) expect(await holdsWith(shifted(items, index, 0), weights)).toBe(false);
  });

  test('holds for valid proofs of several windows, and for no changed signal', async () => {
    const items = weights.map((_, i) => simulated.prove(windowSignals(SIGNALS, i, i % 3), i));
    expect(await holdsWith(items, weights)).toBe(true);
    for (const [index, signal] of [
      [0, 0],
      [0, 1],
      [4, 4],
      [8, 2],
    ] as const) {
      expect(await holdsWith(shifted(items, index, signal), weights)).toBe(false);
    }
  });

  test('holds when a side of it is infinity', async () => {
    const item = simulated.prove(simulated.vanishing([4n, 5n, 6n, 7n, 8n], 0));
    expect(await holdsWith([item], [1n])).toBe(true);
    expect(await holdsWith([item, item], [3n, 5n])).toBe(true);
    expect(await holdsWith([valid[0]!, item], [3n, 5n])).toBe(true);
    expect(await codes([item, item])).toEqual([null, null]);
    // What a window shares is nothing.
    const [, ...shared] = simulated.vanishing([0n, 5n, 6n, 7n, 8n], 4);
    const window = [1n, 2n].map((first, i) => simulated.prove([first, ...shared], i));
    expect(await holdsWith(window, [3n, 5n])).toBe(true);
    expect(await codes([window[0]!, simulated.fake([7n, ...shared])])).toEqual([null, 'PROOF_INVALID']);
  });
});

describe('the weights of a batch', () => {
  const items = () => valid.slice(0, 3).map((item) => ({ ...item, proof: item.proof.slice() }));
  const weightsOf = (batch: readonly ProvenStatement[], hash = keyHash) =>
    batchWeights(batchTranscript(hash, batch), 0, batch.length).join();

  test('depend on every byte of every proof, of the key’s hash and on every signal', () => {
    const seen = new Set([weightsOf(items())]);
    let changes = 0;
    const note = (weights: string) => {
      seen.add(weights);
      changes++;
    };
    for (let item = 0; item < 3; item++) {
      for (let byte = 0; byte < 256; byte++) {
        const changed = items();
        changed[item]!.proof[byte]! ^= 1;
        note(weightsOf(changed));
      }
      for (let signal = 0; signal < SIGNALS; signal++) {
        for (const bit of [0n, 8n, 100n, 253n]) {
          const changed = items();
          const { publicSignals } = changed[item]!;
          changed[item] = {
            ...changed[item]!,
            publicSignals: publicSignals.with(signal, publicSignals[signal]! ^ (1n << bit)),
          };
          note(weightsOf(changed));
        }
      }
    }
    for (let byte = 0; byte < 32; byte++) {
      const hash = keyHash.slice();
      hash[byte]! ^= 0x80;
      note(weightsOf(items(), hash));
    }
    expect(seen.size).toBe(1 + changes);
  });

  test('depend on the order, the number of proofs and the range', () => {
    const [a, b, c] = items() as [ProvenStatement, ProvenStatement, ProvenStatement];
    const transcripts = [
      [a, b, c],
      [a, c, b],
      [b, a, c],
      [a, b],
      [a, b, c, c],
      [a, a, b, c],
    ].map((batch) => toHex(batchTranscript(keyHash, batch)));
    expect(new Set(transcripts).size).toBe(transcripts.length);
    const transcript = batchTranscript(keyHash, [a, b, c]);
    const all = [
      batchWeights(transcript, 0, 3),
      batchWeights(transcript, 0, 2),
      batchWeights(transcript, 1, 3),
    ];
    expect(new Set(all.flat()).size).toBe(7);
  });

  test('depend on the verification key through its hash', async () => {
    const other = await SimulatedKey.create(SIGNALS, 'another');
    const hash = fromHex(verificationKeyHash(other.key));
    expect(weightsOf(items(), hash)).not.toBe(weightsOf(items()));
  });

  test('are odd, below 2^128 and different within a batch', () => {
    const weights = batchWeights(batchTranscript(keyHash, valid), 0, valid.length);
    expect(weights.every((weight) => weight % 2n === 1n && weight > 0n && weight < 2n ** 128n)).toBe(true);
    expect(new Set(weights).size).toBe(valid.length);
    // Of 64 numbers of 128 bits one at least has its highest bit set.
    expect(weights.some((weight) => weight >> 127n === 1n)).toBe(true);
  });
});

describe('the batch of docs/PROTOCOL.md', () => {
  const vector = JSON.parse(readFileSync(new URL('../vectors/groth16.json', import.meta.url), 'utf8')) as {
    publicSignals: string[];
    proof: string;
    verificationKey: VerificationKey;
  };

  test('has this transcript and these weights', () => {
    const item = { publicSignals: vector.publicSignals.map(BigInt), proof: fromHex(vector.proof) };
    const other = { ...item, publicSignals: [43n, ...item.publicSignals.slice(1)] };
    const hash = fromHex(verificationKeyHash(vector.verificationKey));
    const transcript = batchTranscript(hash, [item, other, item]);
    const hex = (weights: bigint[]) => weights.map((weight) => toHex(bigToBytes(weight, 16)));
    expect({
      transcript: toHex(transcript),
      all: hex(batchWeights(transcript, 0, 3)),
      right: hex(batchWeights(transcript, 1, 3)),
    }).toMatchInlineSnapshot(`
      {
        "all": [
          "0x64f4e14de0054a1cba4aa245973d9791",
          "0x97c59d191682745370d553b6a1f01105",
          "0x7dc6ee0fc95ace642ec1fe24d23d66e5",
        ],
        "right": [
          "0xa4ed0c77864ec90e77e4b9657c6692eb",
          "0x19f46bc624da76005f47bceb3463835f",
        ],
        "transcript": "0xe14debe51c493df634dab02defb088ca0b7a0cccf466d3b0d25840b5cc319c3c",
      }
    `);
  });
});

describe('halving', () => {
  /** Runs it against a set of invalid indices; counts what it asks for. */
  async function search(count: number, bad: ReadonlySet<number>) {
    const asked = { ranges: 0, singles: 0, proofs: 0 };
    const isBad = (index: number) => bad.has(index);
    const found = await findInvalid(
      count,
      async (from, to) => {
        expect(to - from).toBeGreaterThan(1);
        asked.ranges++;
        asked.proofs += to - from;
        return !Array.from({ length: to - from }, (_, i) => from + i).some(isBad);
      },
      async (index) => {
        asked.singles++;
        asked.proofs++;
        return !isBad(index);
      },
    );
    return { found, ...asked };
  }

  test('names exactly the invalid proofs, whichever they are', async () => {
    const sets = fc
      .integer({ min: 0, max: 70 })
      .chain((count) =>
        fc.tuple(fc.constant(count), fc.uniqueArray(fc.nat({ max: Math.max(0, count - 1) }))),
      );
    await fc.assert(
      fc.asyncProperty(sets, async ([count, bad]) => {
        const expected = count === 0 ? [] : bad.toSorted((a, b) => a - b);
        expect((await search(count, new Set(expected))).found).toEqual(expected);
      }),
      { numRuns: 300, seed: 1 },
    );
  });

  test('takes one check when all hold', async () => {
    expect(await search(64, new Set())).toMatchObject({ ranges: 1, singles: 0, proofs: 64 });
  });

  test('finds one among 64, wherever it is, with at most 17 checks of 192 proofs in all', async () => {
    for (let bad = 0; bad < 64; bad++) {
      const { found, ranges, singles, proofs } = await search(64, new Set([bad]));
      expect(found).toEqual([bad]);
      expect(ranges + singles).toBeLessThanOrEqual(17);
      expect(proofs).toBeLessThanOrEqual(3 * 64);
    }
    // On the right of every half: no half that is known not to hold is checked again.
    expect(await search(64, new Set([63]))).toMatchObject({ ranges: 6, singles: 2, proofs: 128 });
  });

  test('of all invalid gives up at once: 64 single checks, and those of one path of ranges', async () => {
    const all = new Set(Array.from({ length: 64 }, (_, i) => i));
    const { found, ranges, singles } = await search(64, all);
    expect(found).toHaveLength(64);
    expect(singles).toBe(64);
    expect(ranges).toBe(6);
  });

  test('goes back to ranges where the invalid ones end', async () => {
    const { ranges, singles } = await search(256, new Set([0, 1, 2, 3]));
    expect(singles).toBeLessThanOrEqual(4 * 8);
    expect(ranges).toBeLessThanOrEqual(2 * 8);
  });
});

describe('a verifier of many proofs', () => {
  test('accepts a whole window', async () => {
    expect(await codes(valid)).toEqual(valid.map(() => null));
  });

  test.each(LONG ? Array.from({ length: 64 }, (_, i) => i) : [0, 1, 31, 32, 63])(
    'names the one invalid proof among 64 at %i',
    async (index) => {
      const items = valid.with(index, simulated.fake(valid[index]!.publicSignals, index));
      expect(await codes(items)).toEqual(items.map((_, i) => (i === index ? 'PROOF_INVALID' : null)));
    },
  );

  test('names all of random invalid sets', async () => {
    for (let round = 0; round < (LONG ? 40 : 4); round++) {
      const bad = new Set(
        Array.from({ length: 1 + round }, (_, i) => Number(scalarOf(`bad ${round}`, i) % 24n)),
      );
      const items = valid
        .slice(0, 24)
        .map((item, i) => (bad.has(i) ? simulated.fake(item.publicSignals, i) : item));
      expect(await codes(items)).toEqual(items.map((_, i) => (bad.has(i) ? 'PROOF_INVALID' : null)));
    }
  });

  test('names all when all are invalid', async () => {
    const items = valid.slice(0, 16).map(({ publicSignals }, i) => simulated.fake(publicSignals, i));
    expect(await codes(items)).toEqual(items.map(() => 'PROOF_INVALID'));
  });

  test('gives each the error that it would get singly', async () => {
    const [first, second] = valid as [ProvenStatement, ProvenStatement];
    const outOfField = first.publicSignals.with(2, first.publicSignals[2]! + FIELD_ORDER);
    const items: ProvenStatement[] = [
      first,
      { ...first, proof: new Uint8Array(256) },
      { ...first, proof: first.proof.subarray(1) },
      { ...first, publicSignals: outOfField },
      { ...first, publicSignals: first.publicSignals.slice(1) },
      { ...first, publicSignals: second.publicSignals },
      second,
      { ...first, publicSignals: [...first.publicSignals, 0n] },
      simulated.fake(first.publicSignals),
    ];
    const together = (await verifier.verifyMany(items)).map((error) => error?.toJSON() ?? null);
    const singly = await Promise.all(
      items.map(({ publicSignals, proof }) =>
        verifier.verify(publicSignals, proof).then(
          () => null,
          (error) => error.toJSON(),
        ),
      ),
    );
    expect(together).toEqual(singly);
    expect(together.map((error) => error?.code ?? null)).toEqual([
      null,
      'PROOF_ENCODING',
      'PROOF_ENCODING',
      'PROOF_INVALID',
      'KEY_MISMATCH',
      'PROOF_INVALID',
      null,
      'KEY_MISMATCH',
      'PROOF_INVALID',
    ]);
  });

  test('takes proofs of several windows, whose fold vectors differ, in any order', async () => {
    const items = Array.from({ length: 12 }, (_, i) => {
      const signals = windowSignals(SIGNALS, i, i % 3);
      return i === 7 ? simulated.fake(signals, i) : simulated.prove(signals, i);
    });
    expect(await codes(items)).toEqual(items.map((_, i) => (i === 7 ? 'PROOF_INVALID' : null)));
    // Two windows with their fold vectors exchanged: the sums over both are the same.
    const [a, b] = [items[0]!, items[1]!];
    const swapped = [
      { ...a, publicSignals: [a.publicSignals[0]!, ...b.publicSignals.slice(1)] },
      { ...b, publicSignals: [b.publicSignals[0]!, ...a.publicSignals.slice(1)] },
    ];
    expect(await codes(swapped)).toEqual(['PROOF_INVALID', 'PROOF_INVALID']);
  });

  test('takes the same proof many times, valid or not', async () => {
    const fake = simulated.fake(valid[0]!.publicSignals);
    expect(await codes([valid[0]!, valid[0]!, fake, valid[0]!, fake])).toEqual([
      null,
      null,
      'PROOF_INVALID',
      null,
      'PROOF_INVALID',
    ]);
  });

  test('takes none, and more than a batch holds', async () => {
    expect(await codes([])).toEqual([]);
    const items = Array.from({ length: MAX_BATCH + 2 }, (_, i) => valid[i % 64]!);
    items[MAX_BATCH] = simulated.fake(items[MAX_BATCH]!.publicSignals);
    expect(await codes(items)).toEqual(items.map((_, i) => (i === MAX_BATCH ? 'PROOF_INVALID' : null)));
  });

  test('takes what several callers want at once, one after another', async () => {
    const fake = simulated.fake(valid[5]!.publicSignals);
    const results = await Promise.all([
      codes(valid.slice(0, 40)),
      codes([fake]),
      codes([valid[5]!, fake, valid[6]!]),
      codes(valid.slice(40)),
    ]);
    expect(results).toEqual([
      Array(40).fill(null),
      ['PROOF_INVALID'],
      [null, 'PROOF_INVALID', null],
      Array(24).fill(null),
    ]);
  });

  test('lets others run: it pauses before every 32 pairings', async () => {
    let pauses = 0;
    const counted = await createVerifier(simulated.key, {
      pause: async () => {
        pauses++;
      },
    });
    expect(await codes(valid, counted)).toEqual(valid.map(() => null));
    expect(pauses).toBeGreaterThanOrEqual(64 / 32);
  });
});
