/**
 * A worker process of the bus's tests: works on replay jobs of the namespace argv[3] on the server argv[2] with the settings
 * argv[4], prints `job ATTEMPT` for each that it takes. `hang` as argv[5] never finishes one, `die` is killed
 * by each, `double` gives every byte twice, `close` closes the bus while it works on one.
 */
import { writeSync } from 'node:fs';
import { connectNats } from '../../verifier/bus/nats.ts';

const [url, namespace, settings, mode] = process.argv.slice(2) as [string, string, string, string];
const { signal } = new AbortController();
const bus = await connectNats(url, { name: mode, namespace, settings: JSON.parse(settings), signal });
bus.jobs.work(
  'replay',
  async (payload, { attempt }) => {
    writeSync(1, `job ${attempt}\n`);
    if (mode === 'die') process.kill(process.pid, 'SIGKILL');
    if (mode === 'double') return Uint8Array.from(payload, (byte) => 2 * byte);
    if (mode === 'close') void bus.close();
    return new Promise(() => {});
  },
  { concurrency: 1 },
);
