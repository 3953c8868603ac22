import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Architecture, Layer } from '../../src/policy/index.ts';
import { weightRows } from '../../src/policy/index.ts';
import { packageRoot } from '../../src/storage/package-root.ts';

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

function inputShape({ observation, layers }: Architecture, batch: number): number[] {
  const [first] = layers;
  return first?.type === 'conv2d' ? [batch, first.cin, first.height, first.width] : [batch, observation];
}

// Protocol buffers, as far as a model of Gemm, Conv, Relu and Flatten needs them (onnx.proto, IR version 9, opset 17).

function varint(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) | 128);
  out.push(rest);
  return out;
}

const integer = (field: number, value: number) => Buffer.from([...varint(field * 8), ...varint(value)]);
const bytes = (field: number, value: Uint8Array | string) => {
  const content = Buffer.from(value as Uint8Array);
  return Buffer.concat([Buffer.from([...varint(field * 8 + 2), ...varint(content.length)]), content]);
};
const message = (field: number, ...parts: Buffer[]) => bytes(field, Buffer.concat(parts));

const FLOAT = 1;
const ATTRIBUTE_INT = 2;
const ATTRIBUTE_INTS = 7;

function tensor(name: string, dims: readonly number[], values: Float32Array): Buffer {
  const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return message(5, ...dims.map((dim) => integer(1, dim)), integer(2, FLOAT), bytes(8, name), bytes(9, raw));
}

function node(type: string, inputs: readonly string[], output: string, ...attributes: Buffer[]): Buffer {
  return message(1, ...inputs.map((name) => bytes(1, name)), bytes(2, output), bytes(4, type), ...attributes);
}

function value(field: number, name: string, shape: readonly number[]): Buffer {
  const dims = shape.map((dim) => message(1, integer(1, dim)));
  const type = message(2, message(1, integer(1, FLOAT), message(2, ...dims)));
  return message(field, bytes(1, name), type);
}

/** Weights that no optimiser can drop, the same in every run. */
function weightsOf(layer: Layer): { dims: number[]; values: Float32Array } {
  const dims =
    layer.type === 'dense' ? [layer.out, layer.in] : [layer.cout, layer.cin, layer.kernel, layer.kernel];
  const length = dims.reduce((product, dim) => product * dim, 1);
  return { dims, values: Float32Array.from({ length }, (_, i) => (((i * 53) % 201) - 100) / 1600) };
}

function onnxModel(architecture: Architecture, batch: number): Uint8Array {
  const nodes: Buffer[] = [];
  const tensors: Buffer[] = [];
  let name = 'x';
  let spatial = false;
  for (const [index, layer] of architecture.layers.entries()) {
    const { dims, values } = weightsOf(layer);
    const bias = new Float32Array(weightRows(layer));
    tensors.push(tensor(`w${index}`, dims, values), tensor(`b${index}`, [bias.length], bias));
    if (layer.type === 'dense' && spatial) {
      nodes.push(node('Flatten', [name], `f${index}`));
      name = `f${index}`;
    }
    spatial = layer.type === 'conv2d';
    const inputs = [name, `w${index}`, `b${index}`];
    if (layer.type === 'dense') {
      const transposed = message(5, bytes(1, 'transB'), integer(3, 1), integer(20, ATTRIBUTE_INT));
      nodes.push(node('Gemm', inputs, `y${index}`, transposed));
    } else {
      const strides = [integer(8, layer.stride), integer(8, layer.stride)];
      nodes.push(
        node(
          'Conv',
          inputs,
          `y${index}`,
          message(5, bytes(1, 'strides'), ...strides, integer(20, ATTRIBUTE_INTS)),
        ),
      );
    }
    name = `y${index}`;
    if (index === architecture.layers.length - 1) continue;
    nodes.push(node('Relu', [name], `r${index}`));
    name = `r${index}`;
  }
  const graph = message(
    7,
    ...nodes,
    bytes(2, 'policy'),
    ...tensors,
    value(11, 'x', inputShape(architecture, batch)),
    value(12, name, [batch, architecture.actions]),
  );
  return Buffer.concat([integer(1, 9), graph, message(8, integer(2, 17))]);
}
