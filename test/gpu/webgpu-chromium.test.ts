import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { forward } from '../../src/policy/forward.ts';
import { minatarNetwork, SMALL_CONVOLUTIONS } from '../support/architectures.ts';
import { bundleForPage, launchChromium } from '../support/browser.ts';
import { CARTPOLE_MLP, randomObservations, randomPolicy } from '../support/policies.ts';
import { digest, type WebgpuFinding } from './exact-webgpu.ts';

/** WebGPU exists in secure contexts only, so the page pretends to have come by https. */
const ORIGIN = 'https://grail.test/';

let browser: Browser;
let page: Page;
let script: string;

beforeAll(async () => {
  browser = await launchChromium(
    '--enable-unsafe-webgpu',
    '--enable-features=Vulkan',
    '--use-webgpu-adapter=swiftshader',
  );
  script = await bundleForPage('gpu/exact-webgpu.ts', 'gpu', ['node:*', 'webgpu']);
  page = await browser.newPage();
  await page.route(`${ORIGIN}**`, (route) =>
    route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>WebGPU</title>' }),
  );
  await page.goto(ORIGIN);
  await page.addScriptTag({ content: script });
});

afterAll(() => browser?.close());

test.each([
  ['4-32-32-2', CARTPOLE_MLP, [1, 7, 64, 300]],
  ['convolutions over 5 × 5 × 2', SMALL_CONVOLUTIONS, [1, 7, 64]],
  ['the network of MinAtar', minatarNetwork(4), [1, 16]],
] as const)(
  'WebGPU in Chromium passes the self-test and gives the reference’s logits: %s',
  async (_, architecture, batches) => {
    const found = (await page.evaluate(
      `gpu.exactWebgpu(${JSON.stringify(architecture)}, ${JSON.stringify(batches)})`,
    )) as WebgpuFinding;
    const policy = randomPolicy(architecture, 3);
    const expected = batches.map((batch) =>
      digest(forward(policy, randomObservations(batch, architecture.observation, batch), batch)),
    );
    expect(found.logits).toEqual(expected);
    expect(found.emulated).toBe(true);
  },
);

test('a page that is not allowed WebGPU gets a code and a sentence', async () => {
  const insecure = await browser.newPage();
  await insecure.addScriptTag({ content: script });
  const refusal = await insecure.evaluate(
    `gpu.exactWebgpu(${JSON.stringify(CARTPOLE_MLP)}, [1]).catch(({ code, message }) => ({ code, message }))`,
  );
  expect(refusal).toEqual({
    code: 'BACKEND_UNAVAILABLE',
    message: 'the webgpu backend is not in this browser, or not allowed on this page: try --backend simd',
  });
  await insecure.close();
});
