import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  checkVerificationKey,
  isDevelopmentKey,
  type PointG1,
  type PointG2,
  type VerificationKey,
  verificationKeyHash,
} from '../proofs/verification-key.ts';
import { createVerifier } from '../proofs/verify.ts';
import { GrailError } from '../protocol/errors.ts';
import { packageRoot } from '../storage/package-root.ts';

export interface ExportOptions {
  /** The contract's name: an identifier of Solidity. */
  readonly name?: string;
  /** Accepts a development key, for a network that is insecure-dev; the contract then says so. */
  readonly insecureDev?: boolean;
}

const BASE = 'ProofVerifier.sol';
const TAKEN = ['ProofVerifier', 'IProofVerifier'];

/**
 * The Solidity source of a contract that verifies proofs of one key (docs/PROTOCOL.md, On chain): contracts/ProofVerifier.sol,
 * and a contract that holds the key's numbers. One file without imports; the same key gives the same text.
 * @throws GrailError KEY_MISMATCH when the key is malformed or a point is not of its group; KEY_INSECURE when nobody
 *   contributed to it, or for a development key without `insecureDev`; USAGE when the name is no identifier.
 */
export async function exportVerifier(
  key: VerificationKey,
  { name = 'SpotCheckVerifier', insecureDev = false }: ExportOptions = {},
): Promise<string> {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(name) || TAKEN.includes(name)) {
    throw new GrailError('USAGE', `'${name}' cannot name the contract: give it an identifier of its own`);
  }
  checkVerificationKey(key, verificationKeyHash(key), insecureDev);
  await createVerifier(key);
  const base = readFileSync(join(packageRoot(), 'contracts', BASE), 'utf8');
  return `${base}\n${keyContract(key, name)}`;
}

function keyContract(key: VerificationKey, name: string): string {
  const development = isDevelopmentKey(key);
  const set = (word: number, values: readonly string[]) =>
    values.map((value, i) => `        pairs[${word + i}] = ${value};`);
  const terms = key.IC.slice(1).flatMap(([x, y], i) => [
    '        _addTerm(',
    '            pairs,',
    `            ${x},`,
    `            ${y},`,
    `            signals[${i}]`,
    '        );',
  ]);
  return [
    `/// @title The verifier of one key, exported by GRAIL`,
    ...(development
      ? ['/// INSECURE: a development key. Its secrets are public, and anyone can prove anything with them.']
      : []),
    `contract ${name} is ProofVerifier {`,
    `    bytes32 public constant verificationKeyHash = ${verificationKeyHash(key)};`,
    `    bool public constant insecureDev = ${development};`,
    '',
    '    function signalCount() public pure override returns (uint256) {',
    `        return ${key.nPublic};`,
    '    }',
    '',
    '    function _setKey(uint256[24] memory pairs) internal pure override {',
    '        // α, β',
    ...set(6, [...g1(key.vk_alpha_1), ...g2(key.vk_beta_2)]),
    '        // γ',
    ...set(14, g2(key.vk_gamma_2)),
    '        // δ',
    ...set(20, g2(key.vk_delta_2)),
    '    }',
    '',
    '    function _setPublicPoint(uint256[24] memory pairs, uint256[] calldata signals) internal view override {',
    ...set(12, g1(key.IC[0]!)),
    ...terms,
    '    }',
    '}',
    '',
  ].join('\n');
}

const g1 = ([x, y]: PointG1) => [x, y];

/** EIP-197 has the imaginary half first. */
const g2 = ([[x0, x1], [y0, y1]]: PointG2) => [x1, x0, y1, y0];
