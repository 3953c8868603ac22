import { buildBn128, type Curve } from 'ffjavascript';
import { bytesToBig, utf8 } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { sha256, tag } from '../protocol/hash.ts';
import { FIELD_ORDER } from './fields.ts';
import { groth16Setup, type ToxicWaste } from './groth16-setup.ts';
import { parseR1cs } from './r1cs.ts';
import { publicsOf, sectionsOf } from './sections.ts';
import type { PointG1, PointG2, VerificationKey } from './verification-key.ts';

/** A secret that is none: SHA-256(tag("insecure-dev/" ‖ phase) ‖ name) mod r. */
function publicSecret(phase: 'phase1' | 'phase2', name: string): bigint {
  const value = bytesToBig(sha256(tag(`insecure-dev/${phase}`), utf8(name))) % FIELD_ORDER;
  if (value === 0n) throw new GrailError('INTERNAL', `insecure-dev ${name} is zero`);
  return value;
}

/** The toxic waste of every development key: anyone can compute it, hence forge proofs against such keys. */
export function insecureDevSecrets(): ToxicWaste {
  return {
    tau: publicSecret('phase1', 'tau'),
    alpha: publicSecret('phase1', 'alpha'),
    beta: publicSecret('phase1', 'beta'),
    delta: publicSecret('phase2', 'delta'),
  };
}

export interface InsecureDevKeys {
  /** A snarkjs .zkey file. */
  readonly zkey: Uint8Array;
  readonly verificationKey: VerificationKey;
}

/**
 * The development keys of a circuit: the same bytes on every machine, and worthless as security (docs/PROTOCOL.md,
 * Development keys). About 5 s for 2^14 constraints on one core.
 * @param r1csBytes the compiled constraint system
 * @param onProgress called with the fraction done, in [0, 1]
 * @throws GrailError CIRCUIT_UNSOUND when the constraint system cannot be used; STOPPED when `signal` is aborted.
 */
export async function makeInsecureDevKeys(
  r1csBytes: Uint8Array,
  options: { readonly onProgress?: (fraction: number) => void; readonly signal?: AbortSignal } = {},
): Promise<InsecureDevKeys> {
  const curve = await buildBn128(true);
  const zkey = await groth16Setup(curve, parseR1cs(r1csBytes), insecureDevSecrets(), (fraction) => {
    if (options.signal?.aborted) throw new GrailError('STOPPED', 'making the development keys was stopped');
    options.onProgress?.(fraction);
  });
  return { zkey, verificationKey: verificationKeyOf(curve, zkey) };
}

/** The verification key inside a .zkey file, as snarkjs exports it. */
export function verificationKeyOf(curve: Curve, zkey: Uint8Array): VerificationKey {
  const sections = sectionsOf(zkey, 'zkey');
  const header = sections.get(2)!.at;
  const publics = publicsOf(zkey);
  const g1 = (at: number) => zkey.slice(at, at + 64);
  const g2 = (at: number) => zkey.slice(at, at + 128);
  const points = header + 84; // α₁ β₁ β₂ γ₂ δ₁ δ₂
  const alpha = g1(points);
  const beta = g2(points + 128);
  const out1 = (point: Uint8Array) => decimal(curve.G1.toObject(point)) as unknown as PointG1;
  const out2 = (point: Uint8Array) => decimal(curve.G2.toObject(point)) as unknown as PointG2;
  return {
    protocol: 'groth16',
    curve: 'bn128',
    nPublic: publics,
    vk_alpha_1: out1(alpha),
    vk_beta_2: out2(beta),
    vk_gamma_2: out2(g2(points + 256)),
    vk_delta_2: out2(g2(points + 448)),
    vk_alphabeta_12: decimal(
      curve.Gt.toObject(curve.pairing(alpha, beta)),
    ) as unknown as VerificationKey['vk_alphabeta_12'],
    IC: Array.from({ length: publics + 1 }, (_, i) => out1(g1(sections.get(3)!.at + 64 * i))),
  };
}

/** Nested bigints as nested decimal strings. */
function decimal(value: unknown): unknown {
  return Array.isArray(value) ? value.map(decimal) : String(value);
}
