import { readdirSync, statSync } from 'node:fs';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import {
  BACKEND_NAMES,
  checkTrainingWasm,
  loadBackend,
  selfTest,
  TRAINING_WASM_SHA256,
} from '../backends/index.ts';
import type { Architecture } from '../policy/architecture.ts';
import { defaultCacheDirectory } from '../proofs/artefacts.ts';
import { GrailError } from '../protocol/errors.ts';
import { useNodeSha256 } from '../storage/node-hash.ts';
import { packageVersion } from '../storage/package-root.ts';
import { defineCommand } from './command.ts';
import { jsonFlag } from './flags.ts';

/** What one backend is good for here. */
interface BackendReport {
  readonly backend: string;
  readonly exact: boolean;
  readonly code: string | null;
  readonly message: string;
}

/** A policy of the demo's shape, so that the self-test runs the shapes that mining runs. */
const PROBE: Architecture = {
  observation: 4,
  actions: 2,
  layers: [
    { type: 'dense', in: 4, out: 32, shift: 5, biasMax: 65_536 },
    { type: 'dense', in: 32, out: 32, shift: 4, biasMax: 65_536 },
    { type: 'dense', in: 32, out: 2, shift: 1, biasMax: 65_536 },
  ],
};

const GIB = 2 ** 30;
const gib = (bytes: number) => `${(bytes / GIB).toFixed(1)} GiB`;

async function tryBackend(name: (typeof BACKEND_NAMES)[number]): Promise<BackendReport> {
  try {
    const backend = await loadBackend(name);
    try {
      await selfTest(backend, PROBE);
      return { backend: name, exact: true, code: null, message: 'exact' };
    } finally {
      backend.dispose();
    }
  } catch (error) {
    const coded = error instanceof GrailError ? error : new GrailError('BACKEND_UNAVAILABLE', String(error));
    return { backend: name, exact: false, code: coded.code, message: coded.message };
  }
}

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
  notes:
    'Exit code 1 when this machine cannot mine or train: no exact backend, or another wasm binary than the pinned one.',
  positionals: z.strictObject({}),
  flags: z.strictObject({ json: jsonFlag }),
  async run({ flags, signal, out, err }) {
    useNodeSha256();
    const say = flags.json ? err : out;
    const cache = defaultCacheDirectory();
    const circuits = cachedCircuits(join(cache, 'circuits'));
    say(`grail      ${packageVersion()}`);
    say(`runtime    Node ${process.versions.node} on ${process.platform} ${process.arch}`);
    say(`cores      ${availableParallelism()}`);
    say(`memory     ${gib(totalmem())}, ${gib(freemem())} of it free`);
    const backends: BackendReport[] = [];
    for (const name of BACKEND_NAMES) {
      if (signal.aborted) throw new GrailError('STOPPED', 'the check was stopped');
      const report = await tryBackend(name);
      backends.push(report);
      say(`backend    ${name.padEnd(10)} ${report.exact ? 'exact' : `${report.code}: ${report.message}`}`);
    }
    const wasm = trainingWasm();
    say(`training   ${wasm.message}`);
    say(`keys       ${circuits.length === 0 ? `none cached yet in ${cache}` : `cached in ${cache}`}`);
    for (const { circuit, bytes } of circuits)
      say(`           ${circuit} (${(bytes / 2 ** 20).toFixed(1)} MiB)`);
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
