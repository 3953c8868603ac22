import { createRequire } from 'node:module';
import util from 'node:util';
import * as tf from '@tensorflow/tfjs';
import { startTfjs, unavailable } from './engine.ts';

/** What was found of libtensorflow. */
export interface NodeTensorflow {
  readonly device: string;
  readonly accelerated: boolean;
}

/** Packages that bring libtensorflow, the best first. */
const PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const;

let registered: NodeTensorflow | undefined;

/**
 * Loads the first of the packages that is installed; it registers the backend `tensorflow` with TensorFlow.js's engine,
 * which is then the active one.
 * @param from a file: packages are looked for where it would find them
 * @throws GrailError BACKEND_UNAVAILABLE naming what is missing: the package, its compiled part, or a library
 */
export async function registerNodeTensorflow(from: string = import.meta.url): Promise<NodeTensorflow> {
  registered ??= await register(from);
  return registered;
}

async function register(from: string): Promise<NodeTensorflow> {
  const require = createRequire(from);
  const name = PACKAGES.find((candidate) => {
    try {
      return require.resolve(candidate) !== '';
    } catch {
      return false;
    }
  });
  if (name === undefined) {
    throw unavailable(
      'tensorflow',
      `needs a package that is not installed (npm install ${PACKAGES[0]} for NVIDIA, ${PACKAGES[1]} without)`,
    );
  }
  // Node 23 took it away. The packages load without it, and then every operation throws.
  const mutable = util as typeof util & { isNullOrUndefined?: (value: unknown) => boolean };
  mutable.isNullOrUndefined ??= (value) => value === null || value === undefined;
  // Else libtensorflow says what processor it was compiled for, on stderr.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
  try {
    require(name);
    await startTfjs('tensorflow');
    tf.tidy(() => tf.add(tf.scalar(1), tf.scalar(1)).dataSync());
  } catch (cause) {
    throw unavailable('tensorflow', `does not load from ${name}: ${reason(name, cause)}`, cause);
  }
  // A GPU package without CUDA's libraries computes on the processor, and says nothing.
  const accelerated = (tf.backend() as { isUsingGpuDevice?: boolean }).isUsingGpuDevice === true;
  return { device: `${accelerated ? 'CUDA' : 'processor'}, libtensorflow`, accelerated };
}

/** Which part is missing, and what to do about it. */
function reason(name: string, error: unknown): string {
  const { message, code } = error as Error & { code?: string };
  if (/tfjs_binding\.node\) can not be found/.test(message)) {
    return `its compiled part was not installed (npm rebuild ${name}, which downloads libtensorflow)`;
  }
  const library =
    code === 'ERR_DLOPEN_FAILED' ? /^(\S+): cannot open shared object/.exec(message)?.[1] : null;
  return library ? `the library ${library} is missing` : message.split('\n', 1)[0]!;
}
