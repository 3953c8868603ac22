import { readFileSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bn254 } from '../../src/proofs/curve.ts';
import { fromHex, toHex } from '../../src/protocol/bytes.ts';
import { rerandomise } from '../helpers/rerandomise.ts';
import { bundleForPage, launchChromium } from '../support/browser.ts';
import { type TextStatement, type Verdicts, verdicts } from './verification.ts';

const vector = JSON.parse(readFileSync(new URL('../vectors/groth16.json', import.meta.url), 'utf8'));

let browser: Browser;

beforeAll(async () => {
  browser = await launchChromium('--disable-gpu');
});

afterAll(() => browser?.close());

test('proofs hold and fail in a page as in Node, together and one by one', async () => {
  const curve = await bn254();
  const { publicSignals, proof } = vector as TextStatement;
  const again = (t: bigint) => ({ publicSignals, proof: toHex(rerandomise(curve, fromHex(proof), t)) });
  const statements: TextStatement[] = [
    { publicSignals, proof },
    again(2n),
    { publicSignals: publicSignals.with(0, '43'), proof },
    ...Array.from({ length: 20 }, (_, i) => again(BigInt(i + 3))),
    { publicSignals, proof: `0x${'00'.repeat(256)}` },
  ];
  const expected = await verdicts(vector.verificationKey, statements);
  expect(expected.batch.filter((code) => code !== null)).toEqual(['PROOF_INVALID', 'PROOF_ENCODING']);
  expect(expected.single).toEqual(expected.batch);
  const page = await browser.newPage();
  await page.addScriptTag({ content: await bundleForPage('browser/verification.ts', 'verification') });
  const found = await page.evaluate(
    `verification.verdicts(${JSON.stringify(vector.verificationKey)}, ${JSON.stringify(statements)})`,
  );
  expect(found as Verdicts).toEqual(expected);
});
