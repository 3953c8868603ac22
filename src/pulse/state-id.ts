import { sha256, tag } from '../protocol/hash.ts';
import { checkSpecs, encodeSpecs, ID_BYTES } from './format.ts';
import { type Kernel, KINDS } from './kernel.ts';
import { elementCount, type TensorSource, type TensorSpec } from './tensor.ts';
import { forBlocks, Progress, type Watch, withKernel } from './walk.ts';

const SCHEMA_BYTES = 16;
const HASH_BYTES = 16;

/**
 * The id of a state, from all of its bytes: 16 bytes of SHA-256 over names, types and shapes, then 16 bytes of a set hash of
 * all elements. A patch moves it by what it changes; what it proves is in docs/PROTOCOL.md, PULSE, State ids.
 */
export function stateId(source: TensorSource, watch: Watch = {}): Uint8Array {
  const { specs } = source;
  checkSpecs(specs);
  return withKernel((kernel) => {
    const progress = new Progress(specs, watch);
    let hash = ZERO;
    for (const [index, spec] of specs.entries()) {
      hash = hashTensor(kernel, spec, index, source.read(index), hash);
      progress.done(index);
    }
    return idOf(schemaDigest(specs), hash);
  });
}

export interface SetHash {
  readonly low: bigint;
  readonly high: bigint;
}
export const ZERO: SetHash = { low: 0n, high: 0n };

export function kernelHash({ run }: Kernel): SetHash {
  return { low: BigInt.asUintN(64, run.getHashLow()), high: BigInt.asUintN(64, run.getHashHigh()) };
}

export function addHashes(a: SetHash, b: SetHash): SetHash {
  return { low: BigInt.asUintN(64, a.low + b.low), high: BigInt.asUintN(64, a.high + b.high) };
}

export function hashTensor(
  kernel: Kernel,
  spec: TensorSpec,
  index: number,
  bytes: Uint8Array,
  from: SetHash,
): SetHash {
  const { run } = kernel;
  run.startHash(from.low, from.high);
  run.startTensor(BigInt(index), rowLength(spec));
  forBlocks(elementCount(spec), (at, size) => {
    kernel.loadBase(spec.dtype, bytes, at, size);
    run.hashBlock(KINDS[spec.dtype], size);
  });
  return kernelHash(kernel);
}

/** Elements of a row: of a vector or scalar, all of them. */
export function rowLength({ shape }: TensorSpec): bigint {
  return BigInt(Math.max(1, shape.at(-1) ?? 1));
}

export function schemaDigest(specs: readonly TensorSpec[]): Uint8Array {
  return sha256(tag('pulse-tensors'), encodeSpecs(specs)).subarray(0, SCHEMA_BYTES);
}

export function idOf(schema: Uint8Array, { low, high }: SetHash): Uint8Array {
  const out = new Uint8Array(ID_BYTES);
  out.set(schema);
  const view = new DataView(out.buffer);
  view.setBigUint64(SCHEMA_BYTES, low);
  view.setBigUint64(SCHEMA_BYTES + HASH_BYTES / 2, high);
  return out;
}

export function hashOf(id: Uint8Array): SetHash {
  const view = new DataView(id.buffer, id.byteOffset, id.length);
  return { low: view.getBigUint64(SCHEMA_BYTES), high: view.getBigUint64(SCHEMA_BYTES + HASH_BYTES / 2) };
}
