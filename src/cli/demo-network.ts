import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { DEVNET_ENVIRONMENT, makeDevnet } from '../../verifier/devnet.ts';
import { NetworkDirectory } from '../../verifier/directory.ts';
import { recipe } from '../params/recipes.ts';
import type { ArtefactOptions } from '../proofs/artefacts.ts';
import { GrailError } from '../protocol/errors.ts';
import { createKeystore } from './keystore.ts';

/** Password of a demo's keystores: it protects nothing, and its name says so. */
export const DEMO_PASSWORD = 'insecure-dev';

/** Demo folders that are kept when nobody asked for more. */
const KEPT_RUNS = 5;

/** What fixes a demo's result; written beside its network so that it can be resumed as it was. */
export const demoSettingsSchema = z.strictObject({
  seed: z.int().min(0),
  miners: z.int().min(1).max(64),
  slots: z.int().min(1).max(256),
  cheat: z.string().nullable(),
  environment: z.string().default(DEVNET_ENVIRONMENT),
  algorithm: z.enum(['ppo', 'grpo']).default('ppo'),
  keep: z.boolean(),
});
export type DemoSettings = z.infer<typeof demoSettingsSchema>;

export const DEMO_DEFAULTS: DemoSettings = {
  seed: 1,
  miners: 3,
  slots: 8,
  cheat: null,
  environment: DEVNET_ENVIRONMENT,
  algorithm: 'ppo',
  keep: false,
};

/** A demo's folder, ready to be run. */
export interface DemoNetwork {
  readonly path: string;
  readonly settings: DemoSettings;
  readonly resumed: boolean;
  /** Keystore files, the cheat's last. */
  readonly keystores: readonly string[];
}

/** A new folder below .grail/demo, after the oldest of earlier runs were removed. */
export function newRunFolder(): string {
  const parent = resolve('.grail', 'demo');
  mkdirSync(parent, { recursive: true });
  const runs = readdirSync(parent)
    .filter((name) => /^run-\d+$/.test(name))
    .sort((a, b) => Number(a.slice(4)) - Number(b.slice(4)));
  const removable = runs.filter((name) => readSettings(join(parent, name))?.keep !== true);
  for (const name of removable.slice(0, Math.max(0, removable.length - KEPT_RUNS + 1))) {
    rmSync(join(parent, name), { recursive: true, force: true });
  }
  const next = runs.length === 0 ? 1 : Number(runs.at(-1)!.slice(4)) + 1;
  return join(parent, `run-${next}`);
}

/**
 * Opens the demo in a folder, or makes it.
 * @param wanted what the command line asked for; a resumed demo goes on with its own settings
 * @throws GrailError USAGE when the folder holds a demo with other settings, or something else
 */
export async function openDemo(
  path: string,
  wanted: Partial<DemoSettings>,
  artefacts: ArtefactOptions,
): Promise<DemoNetwork> {
  const directory = new NetworkDirectory(path);
  const stored = readSettings(path);
  const settings = stored ?? { ...DEMO_DEFAULTS, ...wanted };
  if (stored !== null) {
    for (const [name, value] of Object.entries(wanted)) {
      const had = stored[name as keyof DemoSettings];
      if (name !== 'keep' && value !== had) {
        throw new GrailError(
          'USAGE',
          `${path} holds a demo with --${name} ${had}: leave the flag out, or take another --dir`,
        );
      }
    }
  } else if (existsSync(path) && readdirSync(path).length > 0) {
    throw new GrailError('USAGE', `${path} is not empty and holds no demo: take another --dir`);
  }
  const count = settings.miners + (settings.cheat === null ? 0 : 1);
  const keystores = Array.from({ length: count }, (_, i) => join(directory.path, 'miners', `${i}.json`));
  const resumed = directory.exists;
  if (!resumed) {
    // An unknown environment leaves no folder behind.
    const { groupSize } = recipe(settings.environment, settings.algorithm);
    if (settings.slots % groupSize !== 0) {
      throw new GrailError('USAGE', `--slots must be a multiple of the group size of ${groupSize}`);
    }
    mkdirSync(directory.path, { recursive: true });
    writeFileSync(settingsPath(path), `${JSON.stringify(settings, null, 2)}\n`);
    const devnet = await makeDevnet({
      seed: settings.seed,
      miners: count,
      environment: settings.environment,
      algorithm: settings.algorithm,
      artefacts,
    });
    for (const [i, file] of keystores.entries()) {
      if (!existsSync(file)) await createKeystore(file, DEMO_PASSWORD, 'fast', devnet.minerKeys[i]!);
    }
    await directory.create(devnet);
  }
  return { path: directory.path, settings, resumed, keystores };
}

const settingsPath = (path: string) => join(path, 'demo.json');

function readSettings(path: string): DemoSettings | null {
  if (!existsSync(settingsPath(path))) return null;
  try {
    return demoSettingsSchema.parse(JSON.parse(readFileSync(settingsPath(path), 'utf8')));
  } catch (error) {
    throw new GrailError(
      'USAGE',
      `${settingsPath(path)} is damaged: restore it or take another --dir`,
      {},
      { cause: error },
    );
  }
}
