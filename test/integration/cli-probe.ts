/** A process of the CLI's tests: `clean` stops when it is asked to, `stuck` does not. */
import { setTimeout as sleep } from 'node:timers/promises';
import { runProcess } from '../../src/cli/process.ts';

await runProcess(async ({ signal, out }) => {
  out('ready');
  while (!signal.aborted || process.argv[2] === 'stuck') await sleep(10);
  await sleep(100);
  out('cleaned up');
  return 0;
});
