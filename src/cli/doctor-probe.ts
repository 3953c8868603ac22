/** Tries one backend, in a process of its own: a driver that crashes takes nothing else down. Started by doctor.ts. */
import { measureBackend } from '../../rollouts/measure.ts';
import { type BackendName, loadBackend, selfTest } from '../backends/index.ts';
import { recipe } from '../params/recipes.ts';
import { GrailError } from '../protocol/errors.ts';
import { useNodeSha256 } from '../storage/node-hash.ts';
import { initialise } from '../training/initialise.ts';
import { PROBE_BATCHES, type ProbeMessage } from './doctor-backends.ts';

/** Passes that would take longer are not measured: three are made of each. */
const SLOWEST_PASS_MS = 2000;

const say = (message: ProbeMessage) => process.send?.(message);

async function probe(name: BackendName, environment: string): Promise<void> {
  useNodeSha256();
  const parts = recipe(environment, 'ppo');
  const { policy } = initialise({ ...parts, initialSeed: `0x${'07'.repeat(32)}` });
  const backend = await loadBackend(name);
  say({ type: 'found', device: backend.device, emulated: backend.emulated });
  await selfTest(backend, policy.architecture);
  say({ type: 'exact' });
  let passMs = 0;
  let last = 1;
  for (const batch of PROBE_BATCHES) {
    if ((passMs * batch) / last > SLOWEST_PASS_MS) break;
    const stepsPerSecond = await measureBackend(backend, policy, batch);
    say({ type: 'rate', batch, stepsPerSecond });
    passMs = (1000 * batch) / stepsPerSecond;
    last = batch;
  }
  say({ type: 'done', residentBytes: process.memoryUsage.rss() });
  backend.dispose();
}

const [name, environment] = process.argv.slice(2);
try {
  await probe(name as BackendName, environment!);
} catch (error) {
  const coded = error instanceof GrailError ? error : new GrailError('BACKEND_UNAVAILABLE', String(error));
  say({ type: 'failed', code: coded.code, message: coded.message });
}
process.disconnect();
