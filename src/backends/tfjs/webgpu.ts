import type * as Tfjs from '@tensorflow/tfjs';
import { checkObservations } from '../../policy/forward.ts';
import { checkPolicy } from '../../policy/quantiser.ts';
import { GrailError } from '../../protocol/errors.ts';
import type { DeviceBackend, DevicePolicy } from '../backend.ts';
import { activate, startTfjs, unavailable } from './engine.ts';
import { Program } from './program.ts';

/** What this file needs of WebGPU. */
interface Gpu {
  requestAdapter(options?: { powerPreference?: 'high-performance' }): Promise<Adapter | null>;
}

interface Adapter {
  readonly info: {
    readonly vendor: string;
    readonly architecture: string;
    readonly device: string;
    readonly description: string;
    readonly isFallbackAdapter?: boolean;
  };
  readonly isFallbackAdapter?: boolean;
  readonly limits: Limits;
  requestDevice(options: { requiredLimits: Partial<Limits> }): Promise<Device>;
}

/** Limits that TensorFlow.js's programs need as large as the adapter has them. */
const LIMITS = [
  'maxBufferSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
  'maxStorageBufferBindingSize',
] as const;
type Limits = { readonly [name in (typeof LIMITS)[number]]: number };

interface Device {
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
  destroy(): void;
  addEventListener(type: 'uncapturederror', listener: (event: { error: { message: string } }) => void): void;
}

/** Bytes of the widest matrix of a pass. Larger ones make nothing faster, and small GPUs have no room for them. */
const PASS_BYTES = 256 * 2 ** 20;
/** Passes of one batch that are under way at once: the next is sent while the last one's result comes back. */
const PASSES_IN_FLIGHT = 2;

/** TensorFlow.js's one WebGPU backend of this thread, shared by all who loaded it. */
interface Shared {
  readonly tf: typeof Tfjs;
  readonly device: Device;
  readonly name: string;
  readonly emulated: boolean;
  readonly passValues: number;
  users: number;
  /** Set once the device failed: it says why. */
  lost: GrailError | null;
  /** What to call when the device fails: passes that wait for an answer. */
  readonly waiting: Set<(error: GrailError) => void>;
}

let shared: Promise<Shared> | null = null;

/**
 * The exact policy on WebGPU: a browser's, or Dawn's by the npm package `webgpu`.
 * @throws GrailError BACKEND_UNAVAILABLE naming what is missing: a package, or a driver
 */
export async function webgpuBackend(): Promise<DeviceBackend> {
  shared ??= open().catch((error) => {
    shared = null;
    throw error;
  });
  const gpu = await shared;
  gpu.users++;
  let disposed = false;
  return {
    name: 'webgpu',
    answers: 'later',
    device: gpu.name,
    emulated: gpu.emulated,
    load: (policy) => load(gpu, policy),
    memoryBytes: () => (gpu.tf.memory() as { numBytesInGPU?: number }).numBytesInGPU ?? 0,
    dispose() {
      if (disposed) return;
      disposed = true;
      if (--gpu.users === 0) close(gpu);
    },
  };
}

async function open(): Promise<Shared> {
  const gpu = await findGpu();
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) {
    forget();
    throw unavailable(
      'webgpu',
      'finds no adapter: install the GPU’s Vulkan driver and libvulkan1 (vulkaninfo lists what is there)',
    );
  }
  const { info, limits } = adapter;
  let device: Device | undefined;
  let tf: typeof Tfjs;
  try {
    device = await adapter.requestDevice({
      requiredLimits: Object.fromEntries(LIMITS.map((name) => [name, limits[name]])),
    });
    tf = await register(device, info);
  } catch (cause) {
    device?.destroy();
    forget();
    if (cause instanceof GrailError) throw cause;
    throw unavailable('webgpu', `gets no device (${firstLine(String(cause))})`, cause);
  }
  const result: Shared = {
    tf,
    device,
    name: [info.vendor, info.description || info.device || info.architecture].filter(Boolean).join(' '),
    emulated: (info.isFallbackAdapter ?? adapter.isFallbackAdapter) === true,
    passValues: Math.min(PASS_BYTES, limits.maxStorageBufferBindingSize) / 4,
    users: 0,
    lost: null,
    waiting: new Set(),
  };
  const fail = (code: 'BACKEND_LOST' | 'BACKEND_OUT_OF_MEMORY', what: string) => {
    result.lost ??= lost(code, what, result.name);
    for (const reject of result.waiting) reject(result.lost);
  };
  void device.lost.then(({ message }) => fail('BACKEND_LOST', `is lost (${message})`));
  // What a device refuses is not an exception in WebGPU: the pass would go on and give zeros.
  device.addEventListener('uncapturederror', ({ error }) => {
    const memory = error.constructor.name === 'GPUOutOfMemoryError';
    if (memory) fail('BACKEND_OUT_OF_MEMORY', `has no memory left (${firstLine(error.message)})`);
    else fail('BACKEND_LOST', `refused an operation (${firstLine(error.message)})`);
  });
  return result;
}

function lost(code: 'BACKEND_LOST' | 'BACKEND_OUT_OF_MEMORY', what: string, device: string): GrailError {
  const message = `the webgpu device ${what}: look at the GPU and its driver, or take --backend simd`;
  return new GrailError(code, message, { backend: 'webgpu', device });
}

/** Settles as `answer` does, or rejects when the device fails, whose answers may then never come. */
function unlessLost<T>(gpu: Shared, answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    gpu.waiting.add(reject);
    answer.then(resolve, reject).finally(() => gpu.waiting.delete(reject));
  });
}

/** Registers TensorFlow.js's backend for this device, whatever device it had before, and starts it. */
async function register(device: Device, info: Adapter['info']): Promise<typeof Tfjs> {
  let module: typeof import('@tensorflow/tfjs-backend-webgpu');
  try {
    module = await import('@tensorflow/tfjs-backend-webgpu');
  } catch (cause) {
    throw missing(cause);
  }
  const tf = await import('@tensorflow/tfjs');
  if (tf.findBackendFactory('webgpu') !== null) tf.removeBackend('webgpu');
  type Arguments = ConstructorParameters<typeof module.WebGPUBackend>;
  tf.registerBackend('webgpu', () => new module.WebGPUBackend(...([device, info] as unknown as Arguments)));
  // Small tensors would be computed by JavaScript instead.
  tf.env().set('WEBGPU_CPU_FORWARD', false);
  return startTfjs('webgpu');
}

function close(gpu: Shared): void {
  shared = null;
  gpu.tf.removeBackend('webgpu');
  gpu.device.destroy();
  forget();
}

/** A browser's WebGPU, or Dawn's, which TensorFlow.js looks for where a browser has it. */
async function findGpu(): Promise<Gpu> {
  const scope = globalThis as { navigator?: { gpu?: Gpu } };
  if (scope.navigator?.gpu !== undefined) return scope.navigator.gpu;
  if (typeof process === 'undefined' || process.versions?.node === undefined) {
    throw unavailable('webgpu', 'is not in this browser, or not allowed on this page');
  }
  dawn ??= await openDawn();
  const gpu = dawn;
  if (scope.navigator === undefined)
    Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true });
  Object.defineProperty(scope.navigator!, 'gpu', { value: gpu, configurable: true });
  ours = true;
  return gpu;
}

/**
 * This thread's one instance of Dawn, kept for good: one that is collected while its queue of events is still served was
 * seen to lock its thread up for ever.
 */
let dawn: Gpu | null = null;

async function openDawn(): Promise<Gpu> {
  let module: { create(options: string[]): Gpu; globals: object };
  try {
    module = (await import('webgpu')) as unknown as typeof module;
  } catch (cause) {
    throw missing(cause);
  }
  Object.assign(globalThis, module.globals);
  return module.create([]);
}

/** Whether `navigator.gpu` was put there by this file. */
let ours = false;

/** TensorFlow.js takes what it finds there for a browser's. */
function forget(): void {
  if (!ours) return;
  delete (globalThis as { navigator?: { gpu?: Gpu } }).navigator!.gpu;
  ours = false;
}

function missing(cause: unknown): GrailError {
  const code = (cause as { code?: string }).code;
  const message = cause instanceof Error ? firstLine(cause.message) : String(cause);
  return code === 'ERR_MODULE_NOT_FOUND'
    ? unavailable(
        'webgpu',
        'needs packages that are not installed: npm install webgpu@0.6.2 @tensorflow/tfjs-backend-webgpu@4.22.0',
        cause,
      )
    : unavailable('webgpu', `does not load (${message})`, cause);
}

const firstLine = (text: string) => text.split('\n', 1)[0]!;

function load(gpu: Shared, policy: Parameters<DeviceBackend['load']>[0]): DevicePolicy {
  checkPolicy(policy);
  const { tf } = gpu;
  const use = () => {
    if (gpu.lost !== null) throw gpu.lost;
    activate('webgpu');
  };
  use();
  const { observation, actions } = policy.architecture;
  const program = new Program(policy, {
    tf,
    name: 'webgpu',
    passValues: gpu.passValues,
    memoryLimit: Number.POSITIVE_INFINITY,
    gathersFirst: true,
  });
  /** Sends a pass; what comes back goes to `out`. */
  const pass = async (observations: Int8Array, count: number, out: Int32Array): Promise<void> => {
    use();
    let logits: Tfjs.Tensor;
    try {
      logits = program.pass(observations, count);
      // The conversion to int32 also makes −0 a 0.
      out.set(await unlessLost(gpu, logits.data()));
    } catch (error) {
      if (gpu.lost === null && error instanceof GrailError) throw error;
      // WebGPU's way to say that a mapped buffer has no room.
      if (gpu.lost === null && error instanceof RangeError) {
        throw lost('BACKEND_OUT_OF_MEMORY', `has no memory left (${firstLine(error.message)})`, gpu.name);
      }
      throw gpu.lost ?? lost('BACKEND_LOST', `gives no answer (${firstLine(String(error))})`, gpu.name);
    }
    if (gpu.lost !== null) throw gpu.lost;
    logits.dispose();
  };
  return {
    policy,
    logits(observations, batch) {
      checkObservations(observation, observations, batch);
      use();
      const out = new Int32Array(batch * actions);
      return run();
      async function run(): Promise<Int32Array> {
        const flying: Promise<void>[] = [];
        for (let row = 0; row < batch; row += program.rowsPerPass) {
          const end = Math.min(row + program.rowsPerPass, batch);
          const part = observations.subarray(row * observation, end * observation);
          const flight = pass(part, end - row, out.subarray(row * actions, end * actions));
          // Awaited below, unless another one fails first.
          flight.catch(() => {});
          flying.push(flight);
          if (flying.length >= PASSES_IN_FLIGHT) await flying.shift();
        }
        await Promise.all(flying);
        return out;
      }
    },
    dispose() {
      if (gpu.lost !== null) return;
      activate('webgpu');
      program.dispose();
    },
  };
}
