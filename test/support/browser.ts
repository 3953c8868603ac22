import { join } from 'node:path';
import { build } from 'esbuild';
import { type Browser, chromium as playwright } from 'playwright-core';
import { packageRoot } from '../../src/storage/package-root.ts';
import { chromium } from '../runner/servers.ts';

/** Starts the Chromium of this machine. */
export function launchChromium(...flags: string[]): Promise<Browser> {
  const executablePath = chromium.find();
  if (executablePath === null) throw new Error('Chromium is not installed: apt-get install chromium');
  return playwright.launch({
    executablePath,
    headless: true,
    // Chromium refuses its sandbox to root.
    args: ['--no-sandbox', '--disable-background-networking', ...flags],
  });
}

/**
 * A module of test/ and all that it imports as one script for a page.
 * @param file below test/
 * @param globalName the variable that has its exports
 * @param external modules of Node that are not reached in a browser
 */
export async function bundleForPage(
  file: string,
  globalName: string,
  external: string[] = [],
): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(packageRoot(), 'test', file)],
    bundle: true,
    write: false,
    format: 'iife',
    globalName,
    platform: 'browser',
    target: 'es2023',
    external,
    logLevel: 'error',
  });
  return outputFiles[0]!.text;
}
