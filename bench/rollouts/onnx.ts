import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Architecture } from '../../src/policy/index.ts';
import { packageRoot } from '../../src/storage/package-root.ts';
import { inputShape, onnxModel } from './onnx-model.ts';

/**
 * The peer onnxruntime-node: float32 on one thread, the same network as an ONNX model. Nothing but this benchmark needs it,
 * so it is installed when it is asked for, to .cache/bench.
 */

const VERSION = '1.30.0';

/** What is used of the package. */
interface OnnxRuntime {
  readonly InferenceSession: {
    create(model: Uint8Array, options: object): Promise<{ run(feeds: object): Promise<object> }>;
  };
  readonly Tensor: new (type: 'float32', data: Float32Array, shape: readonly number[]) => object;
}

/** Loads the package, after having installed it if need be. @throws when npm cannot have it */
function onnxRuntime(): OnnxRuntime {
  const folder = join(packageRoot(), '.cache', 'bench');
  const name = 'onnxruntime-node';
  if (!existsSync(join(folder, 'node_modules', name))) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
    const args = [
      'install',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--prefix',
      folder,
      `${name}@${VERSION}`,
    ];
    const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' };
    const { status } = spawnSync('npm', args, { stdio: ['ignore', 2, 2], env });
    if (status !== 0) throw new Error(`npm did not install ${name}: see above`);
  }
  return createRequire(join(folder, 'package.json'))(name) as OnnxRuntime;
}

export const ONNX_NAME = `onnxruntime-node ${VERSION}`;

/** Gives a pass over a batch of `architecture`. */
export async function onnxPass(architecture: Architecture, batch: number): Promise<() => Promise<unknown>> {
  const runtime = onnxRuntime();
  const session = await runtime.InferenceSession.create(onnxModel(architecture, batch), {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionProviders: ['cpu'],
  });
  const shape = inputShape(architecture, batch);
  const data = Float32Array.from(
    { length: batch * architecture.observation },
    (_, i) => ((i * 37) % 255) - 127,
  );
  const x = new runtime.Tensor('float32', data, shape);
  return () => session.run({ x });
}
