import { policyRoot } from '../../src/policy/snapshot.ts';
import { concat } from '../../src/protocol/bytes.ts';
import {
  encodePatch,
  encodePolicyAnchor,
  encodePolicyPatch,
  FRESH,
  type HistoryHead,
  MemoryMarks,
  type MemoryTensors,
} from '../../src/pulse/index.ts';
import { tensorsOf } from '../../src/pulse/policy.ts';
import { POLICY_TASKS, policyChain } from './policy-recordings.ts';
import { encodeRice } from './rivals/rice.ts';
import { zstd } from './rivals/rival.ts';

/** Updates that count: the first few move more than all others. */
const FROM = 6;

export interface PolicyRow {
  readonly task: string;
  readonly stateBytes: number;
  readonly changed: number;
  /** Bits a change, headers apart. */
  readonly bits: number;
  readonly bitsWithHistory: number;
  /** PULSEPT1 v3's way for integers, without any header. */
  readonly bitsV3: number;
  readonly patchBytes: number;
  readonly anchorBytes: number;
}

/** The int8 chains of our own tasks: patches as the network sends them, with a history, and PULSEPT1 v3's codes. */
export async function policies(report: (line: string) => void): Promise<PolicyRow[]> {
  const rows: PolicyRow[] = [];
  for (const task of POLICY_TASKS) {
    let previous: { policy: Parameters<typeof policyRoot>[0]; tensors: MemoryTensors } | undefined;
    let marks: MemoryMarks | undefined;
    let head: HistoryHead = FRESH;
    let [bits, bitsWithHistory, bitsV3, patchBytes, anchorBytes, changed, counted, stateBytes] =
      Array(8).fill(0);
    for await (const { version, policy } of policyChain(task, report)) {
      const tensors = tensorsOf(policy);
      marks ??= new MemoryMarks(tensors.specs);
      if (previous !== undefined) {
        const base = previous.tensors;
        const kept = encodePatch({ base, target: tensors, marks, head, write: () => {} });
        head = kept.head;
        if (version >= FROM) {
          const plain = encodePatch({ base, target: tensors, write: () => {} });
          bits += 8 * plain.bodyBytes;
          bitsWithHistory += 8 * kept.bodyBytes;
          bitsV3 += 8 * v3Bytes(previous.policy, policy);
          patchBytes += encodePolicyPatch({
            base: previous.policy,
            target: policy,
            baseRoot: policyRoot(previous.policy),
            targetRoot: policyRoot(policy),
          }).length;
          anchorBytes += encodePolicyAnchor(policy).length;
          changed += plain.tensors.reduce((sum, tensor) => sum + tensor.changed, 0);
          counted++;
        }
      }
      stateBytes = tensors.arrays.reduce((sum, { length }) => sum + length, 0);
      previous = { policy, tensors };
    }
    rows.push({
      task: task.task,
      stateBytes,
      changed: changed / counted,
      bits: bits / changed,
      bitsWithHistory: bitsWithHistory / changed,
      bitsV3: bitsV3 / changed,
      patchBytes: patchBytes / counted,
      anchorBytes: anchorBytes / counted,
    });
  }
  return rows;
}

type Policy = Parameters<typeof policyRoot>[0];

/**
 * PULSEPT1 v3 on integers: Rice blocks of ranks within classes of the old magnitude, the complement where more than half
 * changed, ten bytes a class; zigzag steps as bytes (0xff escapes to 32 bits), zstd of level 1 over both.
 */
function v3Bytes(base: Policy, target: Policy): number {
  const indices: Uint8Array[] = [];
  const values: number[] = [];
  for (const [i, layer] of base.layers.entries()) {
    for (const [from, to] of [
      [layer.weight, target.layers[i]!.weight],
      [layer.bias, target.layers[i]!.bias],
    ] as const) {
      const ranks = Array.from({ length: 33 }, () => ({ changed: [] as number[], same: [] as number[] }));
      for (let at = 0; at < from.length; at++) {
        const group = ranks[32 - Math.clz32(Math.abs(from[at]!))]!;
        const rank = group.changed.length + group.same.length;
        if (from[at] === to[at]) {
          group.same.push(rank);
          continue;
        }
        group.changed.push(rank);
        const step = to[at]! - from[at]!;
        const zigzag = step < 0 ? -2 * step - 1 : 2 * step;
        if (zigzag < 255) values.push(zigzag);
        else values.push(255, zigzag & 255, (zigzag >>> 8) & 255, (zigzag >>> 16) & 255, zigzag >>> 24);
      }
      const used = ranks.filter((group) => group.changed.length > 0);
      indices.push(new Uint8Array(2 + 10 * used.length));
      for (const { changed, same } of used) {
        const list = changed.length <= same.length ? changed : same;
        if (list.length > 0) indices.push(encodeRice(Uint32Array.from(list)));
      }
    }
  }
  return zstd(concat(...indices), 1).length + zstd(Uint8Array.from(values), 1).length;
}
