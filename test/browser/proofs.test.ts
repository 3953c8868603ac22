import { readFileSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { toHex } from '../../src/protocol/bytes.ts';
import { SimulatedKey, windowSignals } from '../helpers/simulated-proofs.ts';
import { bundleForPage, launchChromium } from '../support/browser.ts';
import { type PageBatch, verdicts } from './proofs.ts';

let browser: Browser;

beforeAll(async () => {
  browser = await launchChromium('--disable-gpu');
});

afterAll(() => browser?.close());

async function inPage(batch: PageBatch): Promise<Awaited<ReturnType<typeof verdicts>>> {
  const page = await browser.newPage();
  try {
    await page.addScriptTag({ content: await bundleForPage('browser/proofs.ts', 'proofs') });
    return (await page.evaluate(`proofs.verdicts(${JSON.stringify(batch)})`)) as Awaited<
      ReturnType<typeof verdicts>
    >;
  } finally {
    await page.close();
  }
}

test('Chromium verifies the proof that snarkjs made, and refuses it for another statement', async () => {
  const { verificationKey, publicSignals, proof, verificationKeyHash } = JSON.parse(
    readFileSync(new URL('../vectors/groth16.json', import.meta.url), 'utf8'),
  );
  const items = [
    { publicSignals, proof },
    { publicSignals: ['43', ...publicSignals.slice(1)], proof },
  ];
  expect(await inPage({ key: verificationKey, items })).toEqual({
    hash: verificationKeyHash,
    together: [null, 'PROOF_INVALID'],
    singly: [null, 'PROOF_INVALID'],
  });
});

test('Chromium says of a batch of 40 with three bad proofs what Node says', async () => {
  const simulated = await SimulatedKey.create(73);
  const items = Array.from({ length: 40 }, (_, i) => {
    const signals = windowSignals(73, i);
    const { publicSignals, proof } =
      i === 9 || i === 31 ? simulated.fake(signals, i) : simulated.prove(signals, i);
    return {
      publicSignals: publicSignals.map(String),
      proof: i === 20 ? `0x${'00'.repeat(256)}` : toHex(proof),
    };
  });
  const expected = await verdicts({ key: simulated.key, items });
  expect(expected.together.filter((code) => code === null)).toHaveLength(37);
  expect(expected.together).toEqual(expected.singly);
  expect(await inPage({ key: simulated.key, items })).toEqual(expected);
});
