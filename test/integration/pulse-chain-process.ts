/**
 * A process of the chain's tests. `publish STORE STEPS` publishes states 0 to STEPS − 1 of a run that is the same every time, from
 * where the log ends; `receive STORE CACHE STEPS` follows until it holds the last one, through a cache that others share.
 * Both print a line a step: the step and SHA-256 of the state.
 */
import { writeSync } from 'node:fs';
import { GrailError } from '../../src/protocol/errors.ts';
import { CachedReader, type Manifest } from '../../src/pulse/chain/index.ts';
import type { MemoryTensors, TensorSource } from '../../src/pulse/index.ts';
import { useNodeSha256 } from '../../src/storage/node-hash.ts';
import { FolderBlobCache, FolderPulseStore } from '../../src/storage/pulse-store.ts';
import { seededRandom } from '../support/pulse.ts';
import { bitsOf, openPublisher, randomState, receiverOf, trained } from '../support/pulse-run.ts';

useNodeSha256();
const [role, folder, ...rest] = process.argv.slice(2) as [string, string, ...string[]];
const steps = Number(rest.at(-1));
const store = new FolderPulseStore(folder);
const say = (step: number, state: TensorSource): void => {
  writeSync(1, `${step} ${bitsOf(state)}\n`);
};

function* run(): Generator<MemoryTensors, never> {
  const random = seededRandom(90);
  for (let state = randomState(random); ; state = trained(state, random)) yield state;
}

async function publish(): Promise<void> {
  const last = ((await store.listManifests(0)).at(-1) as Manifest | undefined)?.step ?? -1;
  const states = run();
  let state = states.next().value;
  for (let step = 0; step < last; step++) state = states.next().value;
  const publisher = await openPublisher({
    store,
    cadence: { resetEvery: 5, graceManifests: 4 },
    ...(last < 0 ? {} : { held: { state } }),
  });
  for (let step = last + 1; step < steps; step++) {
    if (step > 0) state = states.next().value;
    await publisher.publish(step, state);
    say(step, state);
  }
}

async function receive(): Promise<void> {
  const cache = new FolderBlobCache(rest[0]!, 20_000);
  const receiver = receiverOf({
    reader: new CachedReader(store, cache),
    onStep: ({ step, state }) => say(step, state),
  });
  while ((receiver.held?.step ?? -1) < steps - 1) {
    try {
      await receiver.sync();
    } catch (error) {
      // Nothing is published yet, or retention was faster.
      if (!(error instanceof GrailError) || error.fault !== 'retry') throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

await (role === 'publish' ? publish() : receive());
