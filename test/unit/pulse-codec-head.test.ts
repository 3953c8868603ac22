import { describe, expect, test } from 'vitest';
import { concat, equalBytes } from '../../src/protocol/bytes.ts';
import { type Dtype, MemoryTensors, type TensorSpec } from '../../src/pulse/index.ts';
import { Kernel, KINDS } from '../../src/pulse/kernel.ts';
import {
  anchored,
  anchorOf,
  codeOf,
  DTYPES,
  movedTensors,
  patched,
  patchOf,
  patternsOf,
  randomTensors,
  seededRandom,
  tensorsOf,
} from '../support/pulse.ts';

/** What stands in front of a tensor's code. */
interface Head {
  readonly quarters: number;
  readonly zeros: number;
  readonly rows: number;
}

interface Ends {
  readonly base: MemoryTensors;
  readonly target: MemoryTensors;
}

/** The code of one small tensor's changes behind any head, else as the codec makes it. */
function codeWith({ base, target }: Ends, head: Head, overwrite: boolean): Uint8Array {
  const { dtype, shape } = base.specs[0]!;
  const [count, kind] = [shape.reduce((size, dim) => size * dim, 1), KINDS[dtype]];
  const kernel = Kernel.acquire();
  const { run } = kernel;
  kernel.loadModels(new Uint8Array(0));
  run.startSymbols();
  run.startEncoder();
  run.startPatch(overwrite ? 1 : 0);
  run.startTensor(0n, BigInt(shape.at(-1)!));
  run.encodeHead(kind, count, head.quarters, head.zeros, head.rows);
  kernel.loadMarks(null, 0, count);
  kernel.loadBase(dtype, base.arrays[0]!, 0, count);
  kernel.loadTarget(dtype, target.arrays[0]!, 0, count);
  run.scaleBlock(kind, count);
  kernel.encodeBlock(dtype, count);
  run.encodeEnd();
  run.finishEncoder();
  const code = kernel.drain().slice();
  kernel.release();
  return code;
}

function ends(dtype: Dtype): Ends {
  const random = seededRandom(81);
  const base = randomTensors([{ name: 'w', dtype, shape: [10, 70] }], random);
  // Steps of int32 are multiples of 64.
  const target = dtype === 'int32' ? base.clone() : movedTensors(base, random, 60);
  if (dtype === 'int32') {
    const patterns = patternsOf(target.arrays[0]!, dtype);
    for (let at = 0; at < patterns.length; at += 17) patterns[at]! += 64;
  }
  return { base, target };
}

describe.each(DTYPES.flatMap((dtype) => [false, true].map((overwrite) => ({ dtype, overwrite }))))(
  'a tensor of $dtype that changed (overwriting: $overwrite)',
  ({ dtype, overwrite }) => {
    const { base, target } = ends(dtype);
    const { patch, header } = patchOf({ base, target, overwrite });
    const zeros = dtype === 'int32' && !overwrite ? 6 : 0;

    test('has one head: with any other share, shared zeros or way of rows its code is refused', async () => {
      const sound: Head[] = [];
      for (let quarters = 0; quarters < 128; quarters++) {
        for (const rows of [0, 1]) {
          for (let shared = 0; shared <= zeros; shared++) {
            const head = { quarters, zeros: shared, rows };
            const bytes = concat(header, codeWith({ base, target }, head, overwrite));
            const code = await codeOf(() => patched(bytes, { base }));
            if (code === 'none') sound.push(head);
            else expect(code, JSON.stringify(head)).toBe('PATCH_FORMAT');
            if (code === 'none') expect(equalBytes(bytes, patch)).toBe(true);
          }
        }
      }
      expect(sound).toEqual([{ quarters: sound[0]!.quarters, zeros, rows: 0 }]);
    });
  },
);

test('a tensor that did not change is not said to have changed', async () => {
  for (const dtype of DTYPES) {
    const { base } = ends(dtype);
    const { header } = patchOf({ base, target: base });
    for (const quarters of [0, 40, 127]) {
      const code = codeWith({ base, target: base }, { quarters, zeros: 0, rows: 0 }, false);
      expect(await codeOf(() => patched(concat(header, code), { base })), dtype).toBe('PATCH_FORMAT');
    }
  }
});

test.each([0, 6, 31])(
  'an anchor of int32 values that share %i zeros says so, and not that they share fewer',
  async (zeros) => {
    const specs: TensorSpec[] = [{ name: 'b', dtype: 'int32', shape: [12] }];
    const target = tensorsOf(specs, (at) => ((at % 3) - 1) * 2 ** zeros);
    const anchor = anchorOf(target);
    const kernel = Kernel.acquire();
    const { run } = kernel;
    const header = anchor.subarray(0, anchor.length - bodyBytes(target));
    for (let shared = 0; shared <= zeros; shared++) {
      kernel.loadModels(new Uint8Array(0));
      run.startSymbols();
      run.startEncoder();
      run.startPatch(1);
      run.encodeValuesHead(KINDS.int32, 12, shared);
      kernel.loadTarget('int32', target.arrays[0]!, 0, 12);
      run.encodeValues(KINDS.int32, 12);
      run.finishEncoder();
      const bytes = concat(header, kernel.drain());
      const code = await codeOf(() => anchored(bytes));
      expect(code, `${shared}`).toBe(shared === zeros ? 'none' : 'PATCH_FORMAT');
      if (shared === zeros) expect(equalBytes(bytes, anchor)).toBe(true);
    }
    kernel.release();
  },
);

function bodyBytes(target: MemoryTensors): number {
  const empty = new MemoryTensors([{ ...target.specs[0]!, shape: [0] }]);
  // The header of a tensor of less than 128 elements is as long for each of them.
  return anchorOf(target).length - anchorOf(empty).length;
}
