import { concat } from '../../../src/protocol/bytes.ts';
import { exponentClasses, type IndexCode, riceGaps, u16Gaps } from './index-codes.ts';
import { changedPositions, decodeJson, encodeJson, placedByName, type Rival, unzstd, zstd } from './rival.ts';
import { absoluteValues, type ValueCode, zigzagValues } from './value-codes.ts';

/**
 * Basilica's PULSEPT1: `"PULSEPT1" ‖ u32le length ‖ JSON with sorted keys ‖ zstd of level 1`. What is compared are the
 * codes, so this is kinder than the original: digests (of each tensor and of the state), the model's name and unchanged
 * tensors are left out of the header, and all indices come before all values, each in a frame of its own, because a frame
 * of both gives zstd's blocks two kinds of bytes and costs up to half a bit a change on tensors as small as a benchmark's.
 */

const MAGIC = new TextEncoder().encode('PULSEPT1');

interface Entry {
  readonly changed: number;
  readonly dtype: 'bf16';
  readonly idxBytes: number;
  readonly idxEnc: string;
  readonly name: string;
  readonly numel: number;
  readonly shape: readonly number[];
  readonly valBytes: number;
  readonly valEnc: string;
}

interface Header {
  readonly baseStep: number;
  readonly formatVersion: number;
  /** Length of the frame of indices. */
  readonly idxFrame: number;
  readonly step: number;
  readonly tensors: readonly Entry[];
}

function pulsept1(name: string, formatVersion: number, indexCode: IndexCode, valueCode: ValueCode): Rival {
  return {
    name,
    missing: () => null,
    encode(base, target, tensors) {
      const entries: Entry[] = [];
      const indices: Uint8Array[] = [];
      const values: Uint8Array[] = [];
      for (const { name, dims, offset, size } of placedByName(tensors)) {
        const from = base.subarray(offset, offset + size);
        const to = target.subarray(offset, offset + size);
        const positions = changedPositions(from, to);
        if (positions.length === 0) continue;
        const index = indexCode.encode(positions, from);
        const value = valueCode.encode(positions, from, to);
        indices.push(index);
        values.push(value);
        entries.push({
          changed: positions.length,
          dtype: 'bf16',
          idxBytes: index.length,
          idxEnc: indexCode.name,
          name,
          numel: size,
          shape: dims,
          valBytes: value.length,
          valEnc: valueCode.name,
        });
      }
      const index = zstd(concat(...indices), 1);
      const header: Header = {
        baseStep: 0,
        formatVersion,
        idxFrame: index.length,
        step: 1,
        tensors: entries,
      };
      return concat(MAGIC, encodeJson(header), index, zstd(concat(...values), 1));
    },
    decode(base, bytes, tensors) {
      const { value: header, end } = decodeJson<Header>(bytes.subarray(MAGIC.length));
      const body = bytes.subarray(MAGIC.length + end);
      const indices = unzstd(body.subarray(0, header.idxFrame));
      const allValues = unzstd(body.subarray(header.idxFrame));
      const offsets = new Map(placedByName(tensors).map(({ name, offset }) => [name, offset]));
      const state = base.slice();
      let [indexAt, valueAt] = [0, 0];
      for (const { name, numel, changed, idxBytes, valBytes } of header.tensors) {
        const offset = offsets.get(name)!;
        const from = base.subarray(offset, offset + numel);
        const index = indices.subarray(indexAt, indexAt + idxBytes);
        const value = allValues.subarray(valueAt, valueAt + valBytes);
        const positions = indexCode.decode(index, changed, from);
        const values = valueCode.decode(value, positions, from);
        indexAt += idxBytes;
        valueAt += valBytes;
        for (let i = 0; i < changed; i++) state[offset + positions[i]!] = values[i]!;
      }
      return state;
    },
    headerBytes: (bytes) => MAGIC.length + decodeJson(bytes.subarray(MAGIC.length)).end,
  };
}

export const pulsept1V1 = pulsept1('PULSEPT1 v1', 1, u16Gaps, absoluteValues);
export const pulsept1V2 = pulsept1('PULSEPT1 v2', 2, riceGaps, zigzagValues);
export const pulsept1V3 = pulsept1('PULSEPT1 v3', 3, exponentClasses, zigzagValues);
