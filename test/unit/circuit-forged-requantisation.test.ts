import { beforeAll, describe, expect, it } from 'vitest';
import type { CircuitSpec } from '../../src/proofs/types.ts';
import { circuitLayout } from '../../src/proofs/widths.ts';
import type { ProverInput } from '../../src/proofs/witness-input.ts';
import type { TemplateEdit } from '../helpers/circuit.ts';
import { CircuitPair } from '../helpers/circuit-pair.ts';
import {
  adaptiveTrace,
  CLAIM_SPEC,
  claimAccumulators,
  honestProver,
  requantised,
} from '../helpers/claims.ts';
import { mlp } from '../helpers/steps.ts';

/**
 * Activations that are not their requantised accumulators. The prover's own policy computes everything after them from the
 * false ones, and what it claims is stated, so that neither fold nor digest has anything to object to: only the two
 * constraints of the requantisation stand in the way.
 */

/** ⌊(y + 2^(shift−1)) / 2^shift⌋. */
const rounded = (y: number, shift: number) => Math.floor((y + 2 ** (shift - 1)) / 2 ** shift);

const hints = (out: string, factor: string): TemplateEdit[] => [
  {
    file: 'requantise.circom',
    from: 'out <-- outside == 0 ? low : 127 * bits[width - 1];',
    to: `out <-- ${out};`,
  },
  {
    file: 'requantise.circom',
    from: 'factor <-- (out - low) * smallInverse(outside);',
    to: `factor <-- ${factor};`,
  },
];
/** What makes the second constraint hold wherever it can. */
const SOLVED = 'outside == 0 ? 0 : (out - low) / outside';

let pair: CircuitPair;
let input: ProverInput;
beforeAll(async () => {
  pair = await CircuitPair.compile(CLAIM_SPEC);
  input = honestProver(CLAIM_SPEC);
});

/** Why a prover is refused whose hints give these activations, and where they are false. */
async function forge(
  edits: readonly TemplateEdit[],
  activation: (y: number, shift: number) => number,
  prover = input,
  circuit = pair,
): Promise<{ blame: string[]; lies: string[] }> {
  const { layers } = prover.spec.architecture;
  const accumulators = prover.steps.map(({ observation }) =>
    adaptiveTrace(prover.policy, observation, (y) => y, activation),
  );
  const lies = accumulators.flatMap((step, b) =>
    step
      .slice(0, -1)
      .flatMap((y, layer) => Array.from(y, (value) => [value, layers[layer]!.shift] as const))
      .flatMap(([y, shift], row) =>
        activation(y, shift) === requantised(y, shift) ? [] : [`requantise[${b}][${row}]`],
      ),
  );
  const blame = circuit.wireVerdict(await circuit.forged(edits, claimAccumulators(prover, accumulators)));
  return { blame, lies: lies.sort() };
}

it('accepts the prover whose activations are true', async () => {
  expect(await forge(hints('outside == 0 ? low : 127 * bits[width - 1]', SOLVED), requantised)).toEqual({
    blame: [],
    lies: [],
  });
});

it('accepts any factor where outside is zero: nothing reads it', async () => {
  const { blame } = await forge(
    hints('outside == 0 ? low : 127 * bits[width - 1]', 'outside == 0 ? 123456789 : (out - low) / outside'),
    requantised,
  );
  expect(blame).toEqual([]);
});

describe('a requantisation', () => {
  const inRange = (y: number, shift: number) => rounded(y, shift) >= 0 && rounded(y, shift) <= 127;
  const FORGERIES: [title: string, out: string, activation: (y: number, shift: number) => number][] = [
    [
      'one below the true value',
      'outside == 0 ? (low > 0 ? low - 1 : 0) : 127 * bits[width - 1]',
      (y, shift) => (inRange(y, shift) ? Math.max(rounded(y, shift) - 1, 0) : requantised(y, shift)),
    ],
    [
      'one above the true value',
      'outside == 0 ? (low < 127 ? low + 1 : 127) : 127 * bits[width - 1]',
      (y, shift) => (inRange(y, shift) ? Math.min(rounded(y, shift) + 1, 127) : requantised(y, shift)),
    ],
    [
      'a value beyond 127 that wraps to its seven low bits',
      'low',
      (y, shift) => ((rounded(y, shift) % 128) + 128) % 128,
    ],
    [
      'a negative value that keeps its low bits, though large ones saturate',
      'outside == 0 ? low : (bits[width - 1] == 1 ? 127 : low)',
      (y, shift) =>
        y + 2 ** (shift - 1) < 0 ? ((rounded(y, shift) % 128) + 128) % 128 : requantised(y, shift),
    ],
    [
      'a negative value that saturates at 127',
      'outside == 0 ? low : 127',
      (y, shift) => (inRange(y, shift) ? rounded(y, shift) : 127),
    ],
    [
      'a saturated value of 126',
      'outside == 0 ? low : 126 * bits[width - 1]',
      (y, shift) => (rounded(y, shift) > 127 ? 126 : requantised(y, shift)),
    ],
    [
      'a saturated value of zero',
      'outside == 0 ? low : 0',
      (y, shift) => (rounded(y, shift) > 127 ? 0 : requantised(y, shift)),
    ],
    [
      'a value in range that is called saturated',
      '127 * bits[width - 1]',
      (y, shift) => (rounded(y, shift) >= 0 ? 127 : 0),
    ],
    [
      'a negative value that saturates below zero',
      'outside == 0 ? low : (bits[width - 1] == 1 ? 127 : -127)',
      (y, shift) => (rounded(y, shift) < 0 ? -127 : requantised(y, shift)),
    ],
  ];
  for (const [title, out, activation] of FORGERIES) {
    it(`refuses ${title}`, async () => {
      const { blame, lies } = await forge(hints(out, SOLVED), activation);
      expect(lies.length).toBeGreaterThan(0);
      expect(blame).toEqual(lies);
    });
  }

  it('refuses a factor that is wrong where outside is not zero', async () => {
    const { blame } = await forge(
      hints('outside == 0 ? low : 127 * bits[width - 1]', 'outside == 0 ? 0 : (out - low) / outside + 1'),
      requantised,
    );
    expect(blame.length).toBeGreaterThan(0);
    expect(blame.every((component) => component.startsWith('requantise'))).toBe(true);
  });
});

describe('a requantisation whose values never exceed 127', () => {
  const spec: CircuitSpec = {
    architecture: mlp(
      [
        [2, 9, 300],
        [3, 3, 60],
      ],
      2,
    ),
    stepsPerProof: 2,
    variant: 'folds',
  };

  it('refuses a negative value that keeps its low bits, and any other activation', async () => {
    const narrow = await CircuitPair.compile(spec);
    const [first] = circuitLayout(spec).layers;
    expect(first!.width - 1).toBeLessThanOrEqual(first!.shift + 7);
    const prover = honestProver(spec, 5);
    const forged = (out: string): TemplateEdit[] => [
      {
        file: 'requantise.circom',
        from: 'out <== low * bits[width - 1];',
        to: `out <-- ${out}; out === low * bits[width - 1];`,
      },
    ];
    const size = 2 ** (first!.width - 1 - first!.shift);
    const wrapped = (y: number, shift: number) => ((rounded(y, shift) % size) + size) % size;
    const higher = (y: number, shift: number) => requantised(y, shift) + 1;
    for (const [out, activation] of [
      ['low', wrapped],
      ['low * bits[width - 1] + 1', higher],
    ] as const) {
      const { blame, lies } = await forge(forged(out), activation, prover, narrow);
      expect(lies.length).toBeGreaterThan(0);
      expect(blame).toEqual(lies);
    }
  });
});
