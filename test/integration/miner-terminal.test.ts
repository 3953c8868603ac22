import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DEMO_PASSWORD } from '../../src/cli/demo-network.ts';
import { killAll } from '../helpers/grail-process.ts';
import { LiveNetwork } from '../helpers/live-network.ts';
import { canTerminal, HIDE, inTerminal, SHOW, type Typed } from '../helpers/terminal.ts';

/** `grail miner` in a terminal, on a network of processes. */
const WRAP = '\u001b[?7h';

let network: LiveNetwork;
let receipts: string;

beforeAll(async () => {
  network = await LiveNetwork.make({ seed: 23, miners: 1 });
  receipts = join(network.directory, 'receipts');
  mkdirSync(receipts);
  await network.verifier();
}, 400_000);

afterAll(async () => {
  await killAll();
  network?.remove();
});

/** Mines in a terminal; the display is text alone, without what moves the cursor. */
async function mine(
  args: readonly string[],
  typed: readonly Typed[],
  options: { columns?: number; noColor?: boolean } = {},
) {
  const keystore = join(network.directory, 'miners', '0.json');
  const common = ['miner', '--verifier', network.url, '--keystore', keystore, '--slots', '1'];
  const { shown, code } = await inTerminal([...common, ...args], typed, {
    columns: options.columns ?? 80,
    env: {
      GRAIL_PASSWORD: DEMO_PASSWORD,
      GRAIL_RUNTIME: network.directory,
      ...(options.noColor && { NO_COLOR: '1' }),
    },
  });
  return { shown, code, restored: shown.lastIndexOf(SHOW) > shown.lastIndexOf(HIDE) && shown.includes(WRAP) };
}

describe.skipIf(!canTerminal)('grail miner in a terminal', () => {
  test('shows its windows and credits in place, and gives the terminal back at the end', async () => {
    const { shown, code, restored } = await mine(['--windows', '2', '--receipts', receipts], []);
    expect({ code, restored }).toEqual({ code: 0, restored: true });
    expect(shown.split(HIDE)).toHaveLength(2);
    expect(shown).toContain('\u001b[6A');
    expect(shown).toMatch(/window 0 {2}(enrol|commit|opening|prove) for \d+ s: /);
    expect(shown).toContain('2 taken part in, 2 accepted, 0 rejected');
    expect(shown).toMatch(/window 1: credited 10000000, 20000000 so far/);
    const [folder] = readdirSync(receipts);
    expect(readdirSync(join(receipts, folder!)).sort()).toEqual([
      `0-${network.addresses[0]}.json`,
      `1-${network.addresses[0]}.json`,
      'genesis.json',
    ]);
  });

  test('says at the first Ctrl-C which windows it finishes, and finishes them', async () => {
    const { shown, code, restored } = await mine([], [['proving', '\u0003']], { noColor: true });
    expect({ code, restored }).toEqual({ code: 130, restored: true });
    expect(shown).toMatch(/stopping after window \d+ \(waits for /);
    expect(shown).toMatch(/stopped: \d windows, 0 rejections/);
    expect(shown).not.toContain('\u001b[1m');
  });

  test('stops at once at the second Ctrl-C, and gives the terminal back', async () => {
    // The proof never comes: without the second one the window would wait for the phase's timer.
    const { shown, code, restored } = await mine(
      ['--cheat', 'withhold-proof'],
      [
        ['cheating: keeping the proof back', '\u0003'],
        // Keystrokes within half a second are one.
        ['again to stop at once', '\u0003', 700],
      ],
      { columns: 40 },
    );
    expect({ code, restored }).toEqual({ code: 130, restored: true });
    expect(shown).toContain('stopping after window');
    expect(shown).not.toContain('stopped:');
  });
});
