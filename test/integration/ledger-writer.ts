/**
 * A process of the ledger's tests: appends entries to the ledger in argv[2] and prints one line an acknowledged
 * append, `index treeRoot`, until it is killed; `hold` appends one and then waits.
 */
import { writeSync } from 'node:fs';
import { openLedger } from '../../src/ledger/log.ts';
import { useNodeSha256 } from '../../src/storage/node-hash.ts';

useNodeSha256();
const ledger = openLedger(process.argv[2]!, new Uint8Array(32).fill(7));
const append = () => {
  const { index, treeRoot } = ledger.append({
    window: 0,
    phase: 'commit',
    view: 0,
    author: `0x${'11'.repeat(20)}`,
    body: { type: 'test', number: ledger.size, filler: 'x'.repeat(ledger.size % 5000) },
  });
  writeSync(1, `${index} ${treeRoot}\n`);
};
append();
if (process.argv[3] === 'hold') setInterval(() => undefined, 1000);
else for (;;) append();
