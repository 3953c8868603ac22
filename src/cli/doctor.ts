import { readdirSync, statSync } from 'node:fs';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { BACKEND_NAMES, checkTrainingWasm, TRAINING_WASM_SHA256 } from '../backends/index.ts';
import { recipe } from '../params/recipes.ts';
import { products } from '../policy/index.ts';
import { defaultCacheDirectory } from '../proofs/artefacts.ts';
import { useNodeSha256 } from '../storage/node-hash.ts';
import { packageVersion } from '../storage/package-root.ts';
import { defineCommand } from './command.ts';
import { type BackendReport, backendHeading, describeBackend, tryBackend } from './doctor-backends.ts';
import { environmentFlag, jsonFlag } from './flags.ts';

const GIB = 2 ** 30;
const gib = (bytes: number) => `${(bytes / GIB).toFixed(1)} GiB`;

function trainingWasm(): { pinned: boolean; message: string } {
  try {
    checkTrainingWasm(TRAINING_WASM_SHA256);
    return { pinned: true, message: 'the pinned wasm binary' };
  } catch (error) {
    return { pinned: false, message: error instanceof Error ? error.message : String(error) };
  }
}

/** Circuits whose artefacts and development proving keys are cached, with the bytes they take. */
function cachedCircuits(folder: string): { circuit: string; bytes: number }[] {
  let names: string[];
  try {
    names = readdirSync(folder).sort();
  } catch {
    return [];
  }
  return names.flatMap((circuit) => {
    try {
      const files = readdirSync(join(folder, circuit));
      if (!files.includes('manifest.json')) return [];
      const bytes = files.reduce((sum, file) => sum + statSync(join(folder, circuit, file)).size, 0);
      return [{ circuit, bytes }];
    } catch {
      return [];
    }
  });
}

export const command = defineCommand({
  name: 'doctor',
  summary: 'Checks what this machine can do',
  notes: [
    'Each backend runs the known-answer vectors, and is then measured on the network of --environment: policy steps a second',
    'of one thread, by rows of a batch. Missing batches would take seconds. Memory is that of a process that runs it.',
    'Exit code 1 when this machine cannot mine or train: no exact backend, or another wasm binary than the pinned one.',
  ].join('\n'),
  positionals: z.strictObject({}),
  flags: z.strictObject({
    environment: environmentFlag
      .default('CartPole-v1')
      .describe('whose network is measured; `grail env list` names them'),
    json: jsonFlag,
  }),
  async run({ flags, signal, out, err }) {
    useNodeSha256();
    const say = flags.json ? err : out;
    const { environment } = flags;
    const { architecture } = recipe(environment, 'ppo');
    const cache = defaultCacheDirectory();
    const circuits = cachedCircuits(join(cache, 'circuits'));
    say(`grail      ${packageVersion()}`);
    say(`runtime    Node ${process.versions.node} on ${process.platform} ${process.arch}`);
    say(`cores      ${availableParallelism()}`);
    say(`memory     ${gib(totalmem())}, ${gib(freemem())} of it free`);
    const wasm = trainingWasm();
    say(`training   ${wasm.message}`);
    say(`keys       ${circuits.length === 0 ? `none cached yet in ${cache}` : `cached in ${cache}`}`);
    for (const { circuit, bytes } of circuits)
      say(`           ${circuit} (${(bytes / 2 ** 20).toFixed(1)} MiB)`);
    const perStep = products(architecture.layers);
    say(
      `\nPolicy of ${environment}: ${perStep.toLocaleString('en')} products a step. Policy steps a second, one thread:`,
    );
    say(backendHeading());
    const backends: BackendReport[] = [];
    for (const name of BACKEND_NAMES) {
      const report = await tryBackend(name, environment, signal);
      backends.push(report);
      say(describeBackend(report));
    }
    const ready = wasm.pinned && backends.some(({ exact }) => exact);
    if (flags.json) {
      const { node } = process.versions;
      const runtime = { node, platform: process.platform, arch: process.arch };
      const machine = { cores: availableParallelism(), memoryBytes: totalmem() };
      out(
        JSON.stringify({
          version: packageVersion(),
          ready,
          runtime,
          ...machine,
          environment,
          backends,
          wasm,
          cache,
          circuits,
        }),
      );
    }
    return ready ? 0 : 1;
  },
});
