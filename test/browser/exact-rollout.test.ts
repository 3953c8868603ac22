import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleForPage, launchChromium } from '../support/browser.ts';
import { exactRollout, type RolloutDigest } from './exact-rollout.ts';

let browser: Browser;

beforeAll(async () => {
  browser = await launchChromium('--disable-gpu');
});

afterAll(() => browser?.close());

test('a rollout by plain integers or the kernel is the same, byte for byte, in Chromium as in Node', async () => {
  const page = await browser.newPage();
  await page.addScriptTag({ content: await bundleForPage('browser/exact-rollout.ts', 'rollout') });
  const expected = exactRollout();
  expect(expected.episodes).toBeGreaterThan(8);
  for (const kernel of ['', '"relaxed"', '"plain"']) {
    const found = (await page.evaluate(`rollout.exactRollout(${kernel})`)) as RolloutDigest;
    expect(found).toEqual(expected);
  }
});
