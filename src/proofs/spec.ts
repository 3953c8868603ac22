import type { Genesis } from '../params/genesis.ts';
import type { CircuitSpec } from './types.ts';

/** The circuit of a network. */
export function circuitSpec({ architecture, stepsPerProof, proof }: Genesis): CircuitSpec {
  return { architecture, stepsPerProof, variant: proof.variant };
}
