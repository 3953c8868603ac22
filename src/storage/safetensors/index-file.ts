import { z } from 'zod';
import { unsound } from './refuse.ts';

/** Longest model.safetensors.index.json. */
export const MAX_INDEX_BYTES = 33_554_432;

/** Names that a shard may have: no folders, nothing hidden. */
const SHARD_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}\.safetensors$/;

const indexSchema = z.looseObject({ weight_map: z.record(z.string(), z.string()) });

/** @throws GrailError TENSORS_INVALID */
export function checkShardName(name: string, file: string): void {
  if (!SHARD_NAME.test(name)) throw unsound(file, `'${name.slice(0, 64)}' is no name of a shard`);
}

/** The file in which each tensor is, as an index says. @throws GrailError TENSORS_INVALID */
export function parseIndex(bytes: Uint8Array, file: string): Map<string, string> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw unsound(file, 'it is no JSON');
  }
  const index = indexSchema.safeParse(parsed);
  if (!index.success) throw unsound(file, 'it has no weight_map from names of tensors to files');
  const map = new Map(Object.entries(index.data.weight_map));
  for (const shard of new Set(map.values())) checkShardName(shard, file);
  return map;
}
