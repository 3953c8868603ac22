import type { LedgerEntry } from '../ledger/entry.ts';
import type { Ledger } from '../ledger/log.ts';
import { type Genesis, genesisHash, parseGenesis } from '../params/genesis.ts';
import { toHex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';

/** Entry 0's genesis. @throws GrailError LEDGER_CORRUPT, GENESIS_INVALID, GENESIS_MISMATCH */
export function genesisOf(ledger: Ledger): Genesis {
  if (ledger.size === 0) throw new GrailError('LEDGER_CORRUPT', 'the ledger is empty', { index: 0 });
  const genesis = genesisOfEntry(ledger.get(0));
  if (toHex(genesisHash(genesis)) !== toHex(ledger.genesisHash)) {
    throw new GrailError('GENESIS_MISMATCH', 'the ledger names another network than its genesis entry', {
      expected: toHex(ledger.genesisHash),
      got: toHex(genesisHash(genesis)),
    });
  }
  return genesis;
}

/** The genesis that entry 0 holds. @throws GrailError LEDGER_CORRUPT, GENESIS_INVALID */
export function genesisOfEntry({ body }: LedgerEntry): Genesis {
  if (body.type !== 'genesis') throw new GrailError('LEDGER_CORRUPT', 'entry 0 is not genesis', { index: 0 });
  const genesis = parseGenesis(body.genesis);
  if (genesis.beacon.kind === 'local' && !genesis.insecureDev) {
    throw new GrailError(
      'GENESIS_INVALID',
      'genesis: a local beacon, whose operator knows every challenge, on a network that is not insecure-dev',
    );
  }
  return genesis;
}
