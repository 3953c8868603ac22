import { codeOf, examine, type Finding, type Rule } from './examine.ts';
import { Network } from './network.ts';
import type { Outcome, Run } from './outcome.ts';
import type { Side, SideEars } from './side.ts';

/** What a part does to a running network. */
export interface Disturbance {
  /** Counts one more. */
  readonly count: (what: string) => void;
  /** Notes what was seen. */
  readonly observe: (sentence: string) => void;
  /** Notes that a rule does not hold. */
  readonly found: (rule: Rule, what: string) => void;
}

export interface PartOptions<S extends Side> {
  readonly part: string;
  readonly make: (parts: SideEars & { readonly folder: string; readonly flags: readonly string[] }) => S;
  readonly disturb: (network: Network<S>, disturbance: Disturbance) => Promise<void>;
  /** Policies that so many windows must have led to, or the first of them. */
  readonly policies?: (windows: number) => Promise<readonly string[]>;
}

/** Starts a network, disturbs it, lets it come to rest, and examines it. */
export async function runPart<S extends Side>(options: PartOptions<S>, run: Run): Promise<Outcome> {
  const began = performance.now();
  const disturbances: Record<string, number> = {};
  const observed: string[] = [];
  const found: Finding[] = [];
  const network = await Network.start({ seed: run.seed, signal: run.signal, make: options.make });
  let examined: Awaited<ReturnType<typeof examine>>;
  try {
    await network.verdicts(1);
    try {
      await options.disturb(network, {
        count: (what) => {
          disturbances[what] = (disturbances[what] ?? 0) + 1;
        },
        observe: (sentence) => void observed.push(sentence),
        found: (rule, what) => void found.push({ rule, what }),
      });
      await rest(network);
    } catch (error) {
      run.signal.throwIfAborted();
      found.push({ rule: 'alive', what: String(error) });
    }
    await network.halt();
    examined = await examine(network);
    found.push(...examined.findings, ...(await comparePolicies(examined.policies, options.policies)));
  } finally {
    await network.end();
    if (run.signal.aborted) network.remove();
  }
  for (const [what, count] of countEnds(network)) observed.push(`${what}: ${count} times`);
  if (found.length === 0) network.remove();
  else run.log(`${options.part}: what is left of it is in ${network.folder}`);
  return {
    part: options.part,
    seconds: Math.round((performance.now() - began) / 1000),
    figures: examined.figures,
    findings: found,
    disturbances,
    observed,
  };
}

/** Starts whatever is down, and waits until two windows more have their verdict. */
async function rest(network: Network): Promise<void> {
  await Promise.all(network.actors.map((actor) => (actor.running ? undefined : actor.launch())));
  await network.verdicts(2);
}

async function comparePolicies(
  got: readonly string[],
  expected: PartOptions<Side>['policies'],
): Promise<Finding[]> {
  if (expected === undefined) return [];
  const wanted = await expected(got.length);
  const first = wanted.findIndex((roots, window) => roots !== got[window]);
  if (first < 0) return [];
  return [{ rule: 'policies', what: `window ${first} trained to ${got[first]} instead of ${wanted[first]}` }];
}

/** Ends that nobody asked for, by kind and code. */
function countEnds({ ends }: Network): Map<string, number> {
  const counts = new Map<string, number>();
  for (const end of ends) {
    const what = `a ${end.name.replace(/-\d+$/, '')} ended by itself with ${codeOf(end)}`;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  return counts;
}
