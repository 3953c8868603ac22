import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FileTensor, safetensors } from './safetensors.ts';

/** A small xorshift: the same checkpoints every time. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

const SHAPES = [
  { name: 'model.layers.1.weight', dtype: 'BF16', shape: [70, 1000], width: 2 },
  { name: 'model.layers.0.weight', dtype: 'BF16', shape: [40, 50], width: 2 },
  { name: 'model.norm', dtype: 'F32', shape: [64], width: 4 },
  { name: 'step', dtype: 'I64', shape: [], width: 8 },
  { name: 'mask', dtype: 'BOOL', shape: [5], width: 1 },
  { name: 'none', dtype: 'F16', shape: [0, 4], width: 2 },
] as const;

/** Tensors of a training run: `count` states, from one to the next a weight in a hundred moves a little. */
export function trainingRun(count: number, seed = 1): FileTensor[][] {
  const next = generator(seed);
  const first: FileTensor[] = SHAPES.map(({ width, ...tensor }) => {
    const bytes = new Uint8Array(width * tensor.shape.reduce((size, dim) => size * dim, 1));
    for (let i = 0; i < bytes.length; i++)
      bytes[i] = i % width === width - 1 ? 0x3c + (next() % 2) : next() % 256;
    return { ...tensor, bytes };
  });
  const states = [first];
  while (states.length < count) {
    states.push(
      states.at(-1)!.map((tensor) => {
        const bytes = tensor.bytes.slice();
        for (let i = 0; i < bytes.length; i += 2) if (next() % 100 === 0) bytes[i]! ^= 1;
        return { ...tensor, bytes };
      }),
    );
  }
  return states;
}

/** Writes a state as a folder of two shards with an index, as transformers does. */
export function writeShards(folder: string, tensors: readonly FileTensor[]): void {
  mkdirSync(folder);
  const shards = [tensors.slice(0, 2), tensors.slice(2)];
  const map: Record<string, string> = {};
  for (const [i, shard] of shards.entries()) {
    const name = `model-0000${i + 1}-of-00002.safetensors`;
    writeFileSync(join(folder, name), safetensors(shard, { format: 'pt' }));
    for (const tensor of shard) map[tensor.name] = name;
  }
  writeFileSync(
    join(folder, 'model.safetensors.index.json'),
    JSON.stringify({ metadata: {}, weight_map: map }),
  );
}
