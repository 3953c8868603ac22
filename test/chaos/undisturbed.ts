import { examine } from './examine.ts';
import { Network } from './network.ts';
import type { Run } from './outcome.ts';
import { OneProcess } from './side.ts';

/** Windows that runs are compared over, at most. */
const MOST_WINDOWS = 8;

/** The roots after each of the first windows of a run in which nothing happens. */
export async function undisturbed({ seed, signal, log }: Run, windows: number): Promise<readonly string[]> {
  const count = Math.min(MOST_WINDOWS, windows);
  log(`running ${count} windows undisturbed, to compare the policies`);
  const network = await Network.start({ seed, signal, make: (options) => new OneProcess(options) });
  try {
    await network.verdicts(count);
    await network.halt();
    return (await examine(network)).policies.slice(0, count);
  } finally {
    await network.end();
    network.remove();
  }
}
