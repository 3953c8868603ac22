import { join } from 'node:path';
import { build } from 'esbuild';
import { type Browser, chromium as playwright } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packageRoot } from '../../src/storage/package-root.ts';
import { chromium } from '../runner/servers.ts';
import { exactRollout, type RolloutDigest } from './exact-rollout.ts';

let browser: Browser;

beforeAll(async () => {
  const executablePath = chromium.find();
  if (executablePath === null) throw new Error('Chromium is not installed: apt-get install chromium');
  browser = await playwright.launch({
    executablePath,
    headless: true,
    // Chromium refuses its sandbox to root.
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  });
});

afterAll(() => browser?.close());

test('a rollout by plain integers or the kernel is the same, byte for byte, in Chromium as in Node', async () => {
  const { outputFiles } = await build({
    entryPoints: [join(packageRoot(), 'test', 'browser', 'exact-rollout.ts')],
    bundle: true,
    write: false,
    format: 'iife',
    globalName: 'rollout',
    platform: 'browser',
    target: 'es2023',
  });
  const page = await browser.newPage();
  await page.addScriptTag({ content: outputFiles[0]!.text });
  const expected = exactRollout();
  expect(expected.episodes).toBeGreaterThan(8);
  for (const kernel of ['', '"relaxed"', '"plain"']) {
    const found = (await page.evaluate(`rollout.exactRollout(${kernel})`)) as RolloutDigest;
    expect(found).toEqual(expected);
  }
});
