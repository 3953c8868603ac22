/**
 * What the archive runs on the GPU machine: finds a Vulkan driver, holds WebGPU to the reference, measures it beside the
 * integer kernel and PyTorch on CUDA, plays whole rollouts. Progress goes to stderr, tables to stdout, everything to a
 * JSON file. Exit code 1 when anything is not exact or fails, 2 for wrong usage, 130 when stopped.
 */
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { DeviceBackend } from '../../src/backends/index.ts';
import { loadBackend, simdBackend } from '../../src/backends/index.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { useNodeSha256 } from '../../src/storage/node-hash.ts';
import { networks } from '../support/networks.ts';
import { comply } from './compliance.ts';
import { openCuda } from './cuda.ts';
import { advice, driverVariables, findDriver, probeWith, waysHere } from './driver.ts';
import { type Flags, parseFlags, USAGE } from './flags.ts';
import { describeMachine } from './machine.ts';
import { printCompliance, printSpeed, printWhole, type Report, targetOf, writeReport } from './report.ts';
import { measureSpeed } from './speed.ts';
import { measureWhole } from './whole.ts';

const GAMES = ['Breakout', 'Asterix', 'Freeway', 'Seaquest', 'SpaceInvaders'];
/** Networks whose speed is measured: of MinAtar's that of the fewest channels, which has the target, and of the most. */
const MEASURED = ['64-256-256-16', 'CartPole', 'MinAtar Breakout', 'MinAtar Seaquest'];

const say = (line: string) => console.error(line);
const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Each part writes what it found, so that a run which is stopped leaves what it had. */
async function run(flags: Flags, report: Report, signal: AbortSignal): Promise<void> {
  const nets = networks(GAMES);
  const names = nets.map(({ name }) => name);
  const wanted = flags.networks ?? names;
  const save = () => writeReport(flags.json, report);

  const { driver, tried } = findDriver(waysHere(process.env), probeWith(here('probe.js')));
  Object.assign(report, { driver, tried });
  for (const line of tried) say(line);
  if (driver === null) {
    for (const line of advice()) say(line);
    throw new GrailError('BACKEND_UNAVAILABLE', 'no Vulkan driver gives WebGPU an adapter: see above', {
      backend: 'webgpu',
    });
  }
  Object.assign(process.env, driverVariables(driver));
  const webgpu = (await loadBackend('webgpu')) as DeviceBackend;
  try {
    const simd = simdBackend();
    report.device = webgpu.device;
    report.emulated = webgpu.emulated;
    say(`device: ${webgpu.device}${webgpu.emulated ? ' (emulated: not a GPU)' : ''}`);

    const compliance: NonNullable<Report['compliance']>[number][] = [];
    for (const network of nets.filter(({ name }) => wanted.includes(name))) {
      const result = await comply(webgpu, simd, network, { ...flags, signal });
      compliance.push(result);
      say(`${result.network}: ${result.exact ? 'exact' : 'NOT EXACT'}, ${result.rows} rows compared`);
      report.compliance = compliance;
      report.exact = compliance.every(({ exact }) => exact);
      report.rowsCompared = compliance.reduce((sum, { rows }) => sum + rows, 0);
      save();
    }
    printCompliance(compliance);

    const cuda = await openCuda(flags.python);
    report.cuda = 'found' in cuda ? cuda.found : cuda;
    say(
      'found' in cuda
        ? `PyTorch ${cuda.found.torch} on ${cuda.found.device}`
        : `no PyTorch CUDA: ${cuda.missing}`,
    );
    try {
      report.speed = await measureSpeed({
        ...flags,
        networks: nets.filter(({ name }) => wanted.includes(name) && MEASURED.includes(name)),
        webgpu,
        simd,
        cuda: 'found' in cuda ? cuda : null,
        signal,
        report: say,
      });
    } finally {
      if ('found' in cuda) cuda.end();
    }
    const target = targetOf(report.speed);
    if (target !== undefined) report.target = target;
    save();
    printSpeed(report.speed);

    if (flags.slots > 0) {
      report.rollouts = await measureWhole({ ...flags, signal, report: say });
      report.exact &&= report.rollouts.every(({ exact }) => exact);
      printWhole(report.rollouts, webgpu.emulated);
    }
    const failed = report.speed.some(({ error }) => error !== undefined);
    report.complete = !failed && report.exact === true;
  } finally {
    webgpu.dispose();
  }
}

function readFlags(): Flags {
  try {
    const flags = parseFlags(process.argv.slice(2), availableParallelism());
    if (flags === null) {
      console.log(USAGE);
      process.exit(0);
    }
    const known = networks(GAMES).map(({ name }) => name);
    const unknown = flags.networks?.find((name) => !known.includes(name));
    if (unknown === undefined) return flags;
    throw new Error(`--networks takes names of ${known.join(', ')}, not ${unknown}`);
  } catch (error) {
    say(`USAGE: ${(error as Error).message}\n${USAGE}`);
    process.exit(2);
  }
}

const flags = readFlags();
useNodeSha256();
const controller = new AbortController();
let code = 0;
for (const [name, exit] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.on(name, () => {
    // The second one does not wait.
    if (controller.signal.aborted) process.exit(exit);
    say('stopping …');
    code = exit;
    controller.abort();
  });
}
const packed = here('packed.json');
const report: Report = {
  format: 1,
  packed: existsSync(packed) ? JSON.parse(readFileSync(packed, 'utf8')) : {},
  flags,
  machine: describeMachine(),
  complete: false,
};
try {
  await run(flags, report, controller.signal);
  if (!report.complete) code ||= 1;
} catch (error) {
  code ||= 1;
  if (!controller.signal.aborted) {
    const coded =
      error instanceof GrailError
        ? error
        : new GrailError('INTERNAL', (error as Error).stack ?? String(error));
    report.error = { code: coded.code, message: coded.message };
    say(`${coded.code}: ${coded.message}`);
  }
}
writeReport(flags.json, report);
say(`${report.complete ? 'complete' : 'not complete'}: ${flags.json}`);
process.exit(code);
