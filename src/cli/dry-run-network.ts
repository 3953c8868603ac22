import { randomBytes } from 'node:crypto';
import { type Devnet, makeDevnet } from '../../verifier/devnet.ts';
import { type Genesis, genesisHash, parseGenesis } from '../params/genesis.ts';
import type { ArtefactOptions } from '../proofs/artefacts.ts';
import { LocalBeacon } from '../protocol/beacon.ts';
import { type Hex, toHex } from '../protocol/bytes.ts';
import { Identity } from '../protocol/identity.ts';
import { encodePolicyAnchor } from '../pulse/index.ts';
import { initialise } from '../training/index.ts';

const secret = () => new Uint8Array(randomBytes(32));

/**
 * A private network with everything of another one that a miner's work depends on: environment, policy, slots, proofs and
 * pay. Its verifier and beacon are new, so that nothing signed for it means anything elsewhere.
 * @param miners addresses that may enrol from window 0
 */
export function privateCopy(original: Genesis, miners: readonly Hex[]): Devnet {
  const verifierKey = secret();
  const beaconSecrets = [secret(), secret()] as const;
  const [end0, end1] = new LocalBeacon(beaconSecrets).ends;
  const genesis = parseGenesis({
    ...original,
    name: `dry run of ${original.name}`.slice(0, 64),
    insecureDev: true,
    chainId: 0,
    beacon: { kind: 'local', ends: [toHex(end0), toHex(end1)] },
    miners: [...miners].sort(),
    verifiers: [{ address: new Identity(verifierKey).address, power: 1 }],
    parent: null,
  });
  return {
    genesis,
    genesisHash: genesisHash(genesis),
    verifierKey,
    minerKeys: [],
    beaconSecrets,
    anchor: encodePolicyAnchor(initialise(genesis).policy),
    keyFile: null,
  };
}

/** The genesis of a new development network, for a dry run without a verifier. */
export async function developmentGenesis(
  environment: string | undefined,
  artefacts: ArtefactOptions,
): Promise<Genesis> {
  const { genesis } = await makeDevnet({
    seed: null,
    miners: 0,
    artefacts,
    ...(environment !== undefined && { environment }),
  });
  return genesis;
}
