import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { countdown } from '../../src/environments/countdown.ts';
import type { Environment } from '../../src/environments/index.ts';
import { sat } from '../../src/environments/sat.ts';
import { fromHex, toHex } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';

/** Task seed (hex), actions, rewards in 64ths, the first 8 bytes of SHA-256 over all observations (hex). */
type Episode = readonly [string, readonly number[], readonly number[], string];

/** Made by tasks.py, an implementation in Python that shares no code with this one. */
const path = process.env.GRAIL_VECTORS_TASKS ?? new URL('tasks.json', import.meta.url);
const recorded: Record<string, readonly Episode[]> = JSON.parse(readFileSync(path, 'utf8'));

function replay(environment: Environment, [taskSeed, actions]: Episode): Episode {
  const batch = environment.create(1);
  batch.reset(0, fromHex(`0x${taskSeed}`));
  const width = environment.observation;
  const seen = new Int8Array(actions.length * width);
  const rewards = new Float32Array(1);
  const [terminated, truncated] = [new Uint8Array(1), new Uint8Array(1)];
  const paid = actions.map((action, step) => {
    batch.observe(seen.subarray(step * width, (step + 1) * width));
    batch.step(Uint16Array.of(action), step, rewards, terminated, truncated);
    expect([terminated[0], truncated[0]]).toEqual([step === actions.length - 1 ? 1 : 0, 0]);
    return rewards[0]! * 64;
  });
  return [taskSeed, actions, paid, toHex(sha256(new Uint8Array(seen.buffer))).slice(2, 18)];
}

test.each([sat, countdown])(
  '$id gives what the definition in Python gives, observations included',
  (environment) => {
    const episodes = recorded[environment.id]!;
    expect(episodes.length).toBeGreaterThan(100);
    for (const episode of episodes) expect(replay(environment, episode)).toEqual(episode);
  },
);
