import type { Genesis } from '../../src/params/genesis.ts';
import { LocalBeacon } from '../../src/protocol/beacon.ts';
import { toHex } from '../../src/protocol/bytes.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { Identity } from '../../src/protocol/identity.ts';
import type { OperatorSecrets } from '../directory.ts';

/** What a network's one writer signs and draws with. @throws GrailError GENESIS_MISMATCH when it is another network's */
export function operatorOf(
  genesis: Genesis,
  secrets: OperatorSecrets,
): { readonly identity: Identity; readonly beacon: LocalBeacon } {
  const identity = new Identity(secrets.verifierKey);
  if (!genesis.verifiers.some(({ address }) => address === identity.address)) {
    throw new GrailError('GENESIS_MISMATCH', 'the operator’s key is not a verifier of this network', {
      got: identity.address,
    });
  }
  const beacon = new LocalBeacon(secrets.beaconSecrets);
  const ends = beacon.ends.map(toHex);
  // Otherwise the first value that it draws would stand in the ledger for ever, and no rule would accept it.
  if (ends.join() !== genesis.beacon.ends.join()) {
    throw new GrailError('GENESIS_MISMATCH', 'the operator’s beacon secrets are not those of this network', {
      expected: genesis.beacon.ends,
      got: ends,
    });
  }
  return { identity, beacon };
}
