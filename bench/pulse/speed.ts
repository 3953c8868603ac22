import { concat } from '../../src/protocol/bytes.ts';
import {
  applyPatch,
  byteSource,
  encodePatch,
  FRESH,
  type HistoryHead,
  MemoryMarks,
  MemoryTensors,
  stateId,
} from '../../src/pulse/index.ts';
import { median } from '../support/timing.ts';
import type { ChainStep } from './compare.ts';
import { specsOf, tensorsOf } from './follower.ts';
import { RIVALS } from './rivals/index.ts';

const REPEATS = 9;

export interface Speed {
  readonly codec: string;
  readonly encodeGbps: number;
  readonly applyGbps: number;
}

/** Encode and apply of the chain's last update, ours with and without the history that led there, and two rivals'. */
export function speeds(chain: readonly ChainStep[]): Speed[] {
  const specs = specsOf(chain[0]!.tensors);
  const marks = new MemoryMarks(specs);
  let head: HistoryHead = FRESH;
  let base = tensorsOf(specs, chain[0]!.state);
  let id = stateId(base);
  for (const { state } of chain.slice(1, -1)) {
    const target = tensorsOf(specs, state);
    const step = encodePatch({ base, target, baseId: id, marks, head, write: () => {} });
    [base, head, id] = [target, step.head, step.targetId];
  }
  const [previous, last] = [chain.at(-2)!, chain.at(-1)!];
  const target = tensorsOf(specs, last.state);
  const gigabytes = (2 * last.state.length) / 1e9;
  const rate = (run: (round: number) => unknown): number => {
    run(0);
    const times = Array.from({ length: REPEATS }, (_, round) => {
      const began = performance.now();
      run(round + 1);
      return performance.now() - began;
    });
    return (1000 * gigabytes) / median(times);
  };
  const rows = [true, false].map((history): Speed => {
    let patch: Uint8Array = new Uint8Array(0);
    // Marks are brought forward in place: every round takes a copy that was made before.
    const copies = Array.from({ length: 2 * (REPEATS + 1) }, () => (history ? marks.clone() : undefined));
    const encodeGbps = rate(() => {
      const body: Uint8Array[] = [];
      const kept = copies.pop();
      const { header } = encodePatch({
        base,
        target,
        baseId: id,
        ...(kept === undefined ? {} : { marks: kept, head }),
        write: (chunk) => body.push(chunk.slice()),
      });
      patch = concat(header, ...body);
    });
    const sink = new MemoryTensors(specs);
    const applyGbps = rate(() => {
      const kept = copies.pop();
      applyPatch({
        base,
        baseId: id,
        patch: byteSource(patch),
        sink,
        ...(kept === undefined ? {} : { marks: kept, head }),
      });
    });
    return { codec: `PULSE, ${history ? 'with' : 'without'} history`, encodeGbps, applyGbps };
  });
  for (const rival of RIVALS.slice(0, 4)) {
    const bytes = rival.encode(previous.state, last.state, last.tensors);
    rows.push({
      codec: rival.name,
      encodeGbps: rate(() => rival.encode(previous.state, last.state, last.tensors)),
      applyGbps: rate(() => rival.decode(previous.state, bytes, last.tensors)),
    });
  }
  const whole = rate(() => stateId(base));
  return [...rows, { codec: 'state id, whole', encodeGbps: whole, applyGbps: whole }];
}
