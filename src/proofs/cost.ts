import { SPONGE_BLOCK } from './poseidon.ts';
import { POSEIDON_PARTIAL_ROUNDS } from './poseidon-constants.ts';
import type { CircuitSpec } from './types.ts';
import { circuitLayout, NOISE_BITS } from './widths.ts';

/** What a circuit costs, without compiling it. */
export interface CircuitCost {
  /** Constraints by what they are for; they add up to `constraints`. */
  readonly parts: {
    /** Range checks of accumulators. */
    readonly accumulators: number;
    readonly requantisation: number;
    /** Fold equations. */
    readonly folds: number;
    readonly noise: number;
    readonly argmax: number;
    readonly traceDigest: number;
    readonly statementDigest: number;
    /** Of the fold vectors; 0 in variant `folds`. */
    readonly foldDigest: number;
  };
  /** As circom 2.2.3 counts them at O2. */
  readonly constraints: number;
  /** Public inputs. */
  readonly publics: number;
  /** Groth16 works on 2^domainBits points: the least power of two above constraints + publics. */
  readonly domainBits: number;
}

/** The constraints of a circuit, part by part: the templates' own counts (circuits/), for every network. */
export function circuitCost(spec: CircuitSpec): CircuitCost {
  const { architecture, stepsPerProof: steps, variant } = spec;
  const layout = circuitLayout(spec);
  const { layers } = layout;
  const hidden = layers.slice(0, -1);
  const rows = layers.reduce((sum, { out }) => sum + out, 0);
  const { actions } = architecture;
  // A value that its shift leaves no bits is the constant zero, and no product.
  const factors = hidden.reduce((sum, { out, width, shift }) => sum + (width - 1 > shift ? out : 0), 0);
  const parts = {
    accumulators: steps * layers.reduce((sum, { out, width }) => sum + out * width, 0),
    requantisation:
      steps * hidden.reduce((sum, { out, width, shift }) => sum + out * clampCost(width - 1 - shift), 0),
    folds: layout.equations * (rows + factors),
    noise: steps * actions * NOISE_BITS,
    // Best and index move on by a product each, but for those that the first and the last comparison spare.
    argmax: steps * ((actions - 1) * (layout.compareBits + 1) + 2 * (actions - 2)),
    traceDigest: spongeCost(layout.traceElements),
    statementDigest: spongeCost(layout.statementInputs),
    foldDigest: variant === 'digest' ? spongeCost(layout.foldCount) : 0,
  };
  const constraints = Object.values(parts).reduce((sum, part) => sum + part, 0);
  const publics = 2 + (variant === 'folds' ? layout.foldCount : 1);
  return { parts, constraints, publics, domainBits: 32 - Math.clz32(constraints + publics) };
}

/** Of one requantised value with so many bits between its lowest and its sign. */
function clampCost(bits: number): number {
  return bits > 7 ? 2 : Math.min(bits, 1);
}

/**
 * Three an S-box: all lanes in eight rounds, one in the others; the first block's lane 0 begins as a constant. Without elements
 * a public digest is compared with the domain.
 */
function spongeCost(elements: number): number {
  if (elements === 0) return 1;
  let cost = -3;
  for (let at = 0; at < elements; at += SPONGE_BLOCK) {
    const width = Math.min(SPONGE_BLOCK, elements - at) + 1;
    cost += 3 * (8 * width + POSEIDON_PARTIAL_ROUNDS[width - 2]!);
  }
  return cost;
}
