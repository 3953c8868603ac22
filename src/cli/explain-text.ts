import { adviceFor } from '../../rollouts/advice.ts';
import type { Inclusion } from '../../rollouts/inclusion.ts';
import type { Genesis } from '../params/genesis.ts';
import { toHex } from '../protocol/bytes.ts';
import { describeRejection } from '../protocol/errors.ts';
import type { SigningDomain } from '../protocol/messages.ts';
import type { Receipt } from '../protocol/wire.ts';
import type { MinerResult } from '../replica/bodies.ts';

/** What is explained: a receipt that was checked, and where it stands in the ledger if that was asked. */
export interface Explained {
  readonly genesis: Genesis;
  readonly domain: SigningDomain;
  readonly receipt: Receipt;
  readonly result: MinerResult;
  readonly inclusion: Inclusion | null;
}

const count = (value: number) => value.toLocaleString('en');
const plural = (n: number, one: string) => `${count(n)} ${one}${n === 1 ? '' : 's'}`;

/** The receipt in sentences: what was done, what it was credited and why, or why not. */
export function explainResult({ genesis, receipt, result, inclusion }: Explained): string[] {
  const { window, miner } = receipt;
  const { slots, rejection, trained, meanReturn, proofs } = result;
  const steps = slots * genesis.stepsPerSlot;
  const lines = [
    `In window ${window}, ${miner} enrolled ${plural(slots, 'slot')} of ${count(genesis.stepsPerSlot)} steps: ${count(steps)} steps.`,
  ];
  if (rejection === null) {
    lines.push(creditSentence(genesis, result, inclusion));
    const mean = meanReturn === null ? 'no episode ended in them' : `mean return ${meanReturn.toFixed(1)}`;
    lines.push(
      `Its rollouts ${trained ? 'trained' : 'did not train'} the next policy (${mean}); ${plural(proofs, 'proof')} checked.`,
    );
  } else {
    // The first window after the cool-down: docs/PROTOCOL.md, Verdict.
    const again = window + genesis.lag + genesis.coolDown + 2;
    lines.push(
      `It was rejected and credited nothing. ${describeRejection(rejection)}`,
      `What to do: ${adviceFor(rejection.code)}`,
      `The bond is lost: on a network without a chain this key may enrol again from window ${again}.`,
    );
  }
  if (receipt.insecureDev)
    lines.push('This is a development network: nothing on it is secure or worth anything.');
  return lines;
}

function creditSentence(
  { rate, emission }: Genesis,
  { slots, credit }: MinerResult,
  inclusion: Inclusion | null,
): string {
  const share = emission === 0 ? 0 : (100 * credit) / emission;
  const earned = `It was credited ${count(credit)} base units, ${share.toFixed(1)}% of the window's emission`;
  if (credit === rate * slots) return `${earned}: the full rate of ${count(rate)} a slot.`;
  const all = inclusion?.verdict.results.reduce((sum, result) => sum + result.slots, 0);
  const among = all === undefined ? 'all enrolled slots' : `all ${count(all)} enrolled slots`;
  return `${earned}: its part of ${count(emission)} among ${among}, which is less than the rate of ${count(rate)} a slot.`;
}

/** What was checked, a line each. */
export function explainChecks({ genesis, domain, receipt, inclusion }: Explained): string[] {
  const network = `${genesis.name} (${toHex(domain.genesisHash)})`;
  return [
    `signature  right: of ${receipt.verifier}, a verifier of ${network}`,
    `result     has the hash that was signed, ${receipt.resultHash}`,
    inclusion === null
      ? 'ledger     not checked: give --verifier URL'
      : `ledger     says the same: entry ${receipt.index} of the ${count(inclusion.head.treeSize)} whose root ${inclusion.head.author} signed`,
  ];
}
