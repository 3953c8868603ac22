import type { Policy } from '../../policy/architecture.ts';
import { checkObservations } from '../../policy/forward.ts';
import { gumbelTable } from '../../policy/gumbel.ts';
import { checkPolicy } from '../../policy/quantiser.ts';
import { GrailError } from '../../protocol/errors.ts';
import type { Backend, LoadedPolicy } from '../backend.ts';
import { PLAIN, RELAXED } from './binaries.ts';
import { layOut, PAGE, type Plan, pack } from './pack.ts';

/**
 * The integer kernel: the exact policy and its sampler in WebAssembly SIMD (assembly/policy.ts). It needs nothing but
 * WebAssembly, so browsers run it too. What it was measured at: docs/BENCHMARKS.md, Policy.
 */

interface Kernel {
  readonly inspect: (at: number, bytes: number) => number;
  readonly layer: (at: number, batch: number, mode: number, last: boolean) => void;
  readonly compact: (from: number, to: number, batch: number, stride: number, actions: number) => void;
  readonly sample: (
    logits: number,
    batch: number,
    stride: number,
    actions: number,
    seeds: number,
    step: number,
    table: number,
    out: number,
  ) => void;
  readonly base: () => number;
}

/** What `inspect` finds in observations. */
const NEGATIVE = 1;
const INVALID = 3;

/** How a layer's values are multiplied: assembly/policy.ts says when each is right. */
const WIDE = 0;
const NARROW = 1;
const SHIFTED = 2;

/** `relaxed` needs relaxed SIMD, `plain` fixed-width SIMD only. Both give the same bits. */
export type Variant = 'relaxed' | 'plain';

const modules = new Map<Variant, WebAssembly.Module | null>();

function moduleOf(variant: Variant): WebAssembly.Module | null {
  let module = modules.get(variant);
  if (module === undefined) {
    const binary = Uint8Array.from(atob(variant === 'relaxed' ? RELAXED : PLAIN), (char) =>
      char.charCodeAt(0),
    );
    module = WebAssembly.validate(binary) ? new WebAssembly.Module(binary) : null;
    modules.set(variant, module);
  }
  return module;
}

/**
 * The kernel as a backend: with relaxed SIMD where the runtime has it, else without.
 * @throws GrailError BACKEND_UNAVAILABLE when the runtime has no WebAssembly SIMD
 */
export function simdBackend(variant?: Variant): Backend {
  const found = variant ?? (moduleOf('relaxed') === null ? 'plain' : 'relaxed');
  const module = moduleOf(found);
  if (module === null) {
    throw new GrailError(
      'BACKEND_UNAVAILABLE',
      `this runtime lacks WebAssembly SIMD (${found}): try --backend cpu`,
      { backend: 'simd' },
    );
  }
  const memories = new Set<WebAssembly.Memory>();
  return {
    name: 'simd',
    answers: 'at once',
    device: `processor, WebAssembly ${found === 'relaxed' ? 'relaxed SIMD' : 'SIMD'}`,
    emulated: false,
    load: (policy) => loadPolicy(module, found, policy, memories),
    memoryBytes: () => [...memories].reduce((sum, { buffer }) => sum + buffer.byteLength, 0),
    dispose() {},
  };
}

function loadPolicy(
  module: WebAssembly.Module,
  variant: Variant,
  policy: Policy,
  memories: Set<WebAssembly.Memory>,
): LoadedPolicy {
  checkPolicy(policy);
  const { architecture } = policy;
  const memory = new WebAssembly.Memory({ initial: 1 });
  const kernel = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Kernel;
  const layout = layOut(policy, kernel.base());
  const { plan } = layout;
  grow(memory, plan);
  memories.add(memory);
  pack(policy, layout, memory.buffer);
  new Int16Array(memory.buffer, plan.gumbel).set(gumbelTable());
  const bytes = new Int8Array(memory.buffer);
  const words = new Uint32Array(memory.buffer);
  const shorts = new Uint16Array(memory.buffer);
  const { observation, actions } = architecture;
  const last = plan.layers.length - 1;
  let disposed = false;

  /** Logits of rows `from` to `to`, left at plan.logits. */
  const pass = (observations: Int8Array, from: number, to: number): void => {
    const used = (to - from) * observation;
    bytes.set(
      from === 0 && used === observations.length
        ? observations
        : observations.subarray(from * observation, to * observation),
      plan.observations,
    );
    bytes.fill(0, plan.observations + used, plan.observations + used + 16);
    const found = kernel.inspect(plan.observations, used);
    if (found === INVALID) checkObservations(observation, observations, observations.length / observation);
    for (const [index, at] of plan.layers.entries()) {
      const narrow = index > 0 || found < NEGATIVE;
      const mode = variant === 'plain' ? WIDE : narrow ? NARROW : plan.shifts ? SHIFTED : WIDE;
      kernel.layer(at, to - from, mode, index === last);
    }
  };
  const checkBatch = (observations: Int8Array, batch: number) => {
    if (disposed) throw new GrailError('INTERNAL', 'the policy was disposed');
    if (observations.length !== batch * observation) checkObservations(observation, observations, batch);
  };
  const compacted = (batch: number): void =>
    kernel.compact(plan.logits, plan.compact, batch * plan.positions, plan.stride, plan.outputs);
  return {
    policy,
    logits(observations, batch) {
      checkBatch(observations, batch);
      const out = new Int32Array(batch * actions);
      for (let from = 0; from < batch; from += plan.chunk) {
        const to = Math.min(batch, from + plan.chunk);
        pass(observations, from, to);
        compacted(to - from);
        out.set(new Int32Array(memory.buffer, plan.compact, (to - from) * actions), from * actions);
      }
      return out;
    },
    act(observations, batch, seeds, step, out) {
      checkBatch(observations, batch);
      for (let from = 0; from < batch; from += plan.chunk) {
        const count = Math.min(batch, from + plan.chunk) - from;
        pass(observations, from, from + count);
        for (let i = 0; i < 4 * count; i++) words[plan.seeds / 4 + i] = seeds[4 * from + i]!;
        let [logits, stride] = [plan.logits, plan.stride];
        if (plan.positions > 1) {
          compacted(count);
          [logits, stride] = [plan.compact, actions];
        }
        kernel.sample(logits, count, stride, actions, plan.seeds, step, plan.gumbel, plan.actions);
        for (let i = 0; i < count; i++) out[from + i] = shorts[plan.actions / 2 + i]!;
      }
    },
    dispose() {
      disposed = true;
      memories.delete(memory);
    },
  };
}

/** @throws GrailError BACKEND_OUT_OF_MEMORY */
function grow(memory: WebAssembly.Memory, { pages }: Plan): void {
  const more = pages - memory.buffer.byteLength / PAGE;
  try {
    if (more > 0) memory.grow(more);
  } catch (cause) {
    throw new GrailError(
      'BACKEND_OUT_OF_MEMORY',
      `the simd backend cannot get ${(pages * PAGE) / 1024} KiB for the policy: free memory, or use a smaller network`,
      { backend: 'simd', bytes: pages * PAGE },
      { cause },
    );
  }
}
