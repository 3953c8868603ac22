import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { registerNodeTensorflow } from '../../src/backends/tfjs/node-tensorflow.ts';
import { expectCode } from '../helpers/expect-code.ts';

/** Folders with a package that fails as the real one was seen to, on Node 24 with tfjs-node 4.22.0. */
const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function folderWith(packages: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'grail-tfjs-node-'));
  folders.push(folder);
  for (const [name, source] of Object.entries(packages)) {
    const file = join(folder, 'node_modules', name, 'index.js');
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, source);
  }
  return join(folder, 'here.js');
}

const refusal = async (packages: Record<string, string>) =>
  (await expectCode('BACKEND_UNAVAILABLE', registerNodeTensorflow(folderWith(packages)))).message;

test('without a package of libtensorflow the refusal names those to install', async () => {
  expect(await refusal({})).toBe(
    'the tensorflow backend needs a package that is not installed (npm install @tensorflow/tfjs-node-gpu for NVIDIA, @tensorflow/tfjs-node without): try --backend simd',
  );
});

test('a package whose compiled part was not installed says how to get it', async () => {
  const source =
    'throw new Error("The Node.js native addon module (tfjs_binding.node) can not be found at path: /x. \\nPlease run …")';
  expect(await refusal({ '@tensorflow/tfjs-node': source })).toContain(
    'does not load from @tensorflow/tfjs-node: its compiled part was not installed (npm rebuild @tensorflow/tfjs-node',
  );
});

test('a library of the system that is missing is named, and the GPU’s package is the first choice', async () => {
  const source =
    'throw Object.assign(new Error("libcudnn.so.8: cannot open shared object file: No such file or directory"), { code: "ERR_DLOPEN_FAILED" })';
  const packages = { '@tensorflow/tfjs-node-gpu': source, '@tensorflow/tfjs-node': '' };
  expect(await refusal(packages)).toContain(
    'does not load from @tensorflow/tfjs-node-gpu: the library libcudnn.so.8 is missing',
  );
});

test('a package that registers no backend is refused', async () => {
  expect(await refusal({ '@tensorflow/tfjs-node': '' })).toContain(
    'does not load from @tensorflow/tfjs-node',
  );
});
