/**
 * A state of several gigabytes, diffed and applied tensor by tensor in a process of its own, so that its peak memory is its
 * own: prints one line of JSON. Its tensors are the simulated ones, rotated, so nothing is read from a disk; what making
 * them takes is not counted.
 *
 *     node bench/pulse/large.ts BASE.bin TARGET.bin GIGABYTES
 */
import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  applyPatch,
  type ByteSource,
  encodePatch,
  readHeader,
  stateId,
  type TensorSource,
  type TensorSpec,
} from '../../src/pulse/index.ts';
import { useNodeSha256 } from '../../src/storage/node-hash.ts';

/** Simulated states that one tensor holds. */
const COPIES = 8;

useNodeSha256();
const [baseFile, targetFile, gigabytes] = process.argv.slice(2);
const [base, target] = [readFileSync(baseFile!), readFileSync(targetFile!)];
const tensorBytes = COPIES * base.length;
const count = Math.round((Number(gigabytes) * 1e9) / tensorBytes);
const specs: TensorSpec[] = Array.from({ length: count }, (_, i) => ({
  name: `layers.${i}.weight`,
  dtype: 'bf16',
  shape: [tensorBytes / 2 / 4096, 4096],
}));

const [first, second] = [new Uint8Array(tensorBytes), new Uint8Array(tensorBytes)];

let makingMs = 0;
function timed<T>(run: () => T): T {
  const began = performance.now();
  const result = run();
  makingMs += performance.now() - began;
  return result;
}

function rotated(state: Uint8Array, scratch: Uint8Array): TensorSource {
  return {
    specs,
    read: (index) =>
      timed(() => {
        for (let copy = 0; copy < COPIES; copy++) {
          // Another place of the state comes first in every copy, so no two tensors are alike.
          const turn = 2 * (((index * COPIES + copy) * 100_003) % (state.length / 2));
          const at = copy * state.length;
          scratch.set(state.subarray(turn), at);
          scratch.set(state.subarray(0, turn), at + state.length - turn);
        }
        return scratch;
      }),
  };
}

const folder = mkdtempSync(join(tmpdir(), 'grail-pulse-'));
const path = join(folder, 'body');
try {
  const baseId = stateId(rotated(base, first));
  makingMs = 0;
  let file = openSync(path, 'w');
  let began = performance.now();
  const patch = encodePatch({
    base: rotated(base, first),
    target: rotated(target, second),
    baseId,
    write: (chunk) => writeSync(file, chunk),
  });
  const encodeMs = performance.now() - began - makingMs;
  closeSync(file);

  makingMs = 0;
  file = openSync(path, 'r');
  const source: ByteSource = joined(patch.header, file);
  const hash = createHash('sha256');
  const wanted = createHash('sha256');
  const want = rotated(target, second);
  began = performance.now();
  const applied = applyPatch({
    base: rotated(base, first),
    baseId,
    patch: source,
    targetId: patch.targetId,
    sink: {
      write: (index, bytes) =>
        timed(() => {
          hash.update(bytes);
          wanted.update(want.read(index));
        }),
    },
  });
  const applyMs = performance.now() - began - makingMs;
  closeSync(file);
  if (hash.digest('hex') !== wanted.digest('hex')) throw new Error('the result is not the target');
  const bytes = count * tensorBytes;
  console.log(
    JSON.stringify({
      stateBytes: bytes,
      tensorBytes,
      tensors: readHeader(joined(patch.header, null)).specs.length,
      changed: applied.changed,
      patchBytes: patch.header.length + patch.bodyBytes,
      encodeGbps: bytes / encodeMs / 1e6,
      applyGbps: bytes / applyMs / 1e6,
      peakBytes: peakBytes(),
      limitBytes: 4 * tensorBytes + 256 * 2 ** 20,
    }),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Linux counts a parent's memory in a child's maxRSS, but not in the peak of its own address space. */
function peakBytes(): number {
  const kibibytes = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return 1024 * (kibibytes === undefined ? process.resourceUsage().maxRSS : Number(kibibytes));
}

function joined(header: Uint8Array, file: number | null): ByteSource {
  let at = 0;
  const buffer = new Uint8Array(1 << 20);
  return {
    take(max) {
      if (at < header.length) {
        const part = header.subarray(at, at + max);
        at += part.length;
        return part;
      }
      if (file === null) return header.subarray(0, 0);
      return buffer.subarray(0, readSync(file, buffer, 0, Math.min(max, buffer.length), null));
    },
  };
}
