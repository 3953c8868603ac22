import type { Genesis } from '../src/params/genesis.ts';
import { type Hex, toHex } from '../src/protocol/bytes.ts';
import { canonicalBytes, type Json } from '../src/protocol/canonical.ts';
import { GrailError } from '../src/protocol/errors.ts';
import { sha256 } from '../src/protocol/hash.ts';
import { recover } from '../src/protocol/identity.ts';
import { type AttestationType, attestationDigest, type SigningDomain } from '../src/protocol/messages.ts';
import type { Receipt } from '../src/protocol/wire.ts';

/** A network, as far as its signatures need it. */
export interface Network {
  readonly genesis: Genesis;
  readonly domain: SigningDomain;
}

/**
 * Checks that a verifier whom genesis lists signed something.
 * @throws GrailError BAD_SIGNATURE
 */
export function checkAttestation(
  { genesis, domain }: Network,
  type: AttestationType,
  value: Record<string, unknown>,
  signed: { readonly verifier: Hex; readonly signature: Hex },
): void {
  const known = genesis.verifiers.some(({ address }) => address === signed.verifier);
  const signer = recover(attestationDigest(domain, type, value), signed.signature);
  if (known && signer === signed.verifier) return;
  throw new GrailError('BAD_SIGNATURE', `the ${type} is not signed by a verifier of this network`, {
    expected: genesis.verifiers.map(({ address }) => address),
    got: signer,
  });
}

/**
 * Checks a receipt: the hash that it signs is that of its result, what stands outside the result agrees with it, and a
 * verifier of the network signed it.
 * @throws GrailError BAD_SIGNATURE
 */
export function checkReceipt(network: Network, receipt: Receipt): void {
  const { verifier, signature, result, ...value } = receipt;
  const said = {
    miner: result.miner,
    slots: result.slots,
    credit: result.credit,
    resultHash: toHex(sha256(canonicalBytes(result))),
    insecureDev: network.genesis.insecureDev,
  };
  for (const [name, expected] of Object.entries(said)) {
    const got = value[name as keyof typeof said];
    if (got === expected) continue;
    throw new GrailError(
      'BAD_SIGNATURE',
      `the receipt contradicts itself: ${name} is not that of its result`,
      {
        expected: (expected ?? null) as Json,
        got,
      },
    );
  }
  checkAttestation(network, 'receipt', value, { verifier, signature });
}
