import { type Architecture, type Layer, weightRows } from '../../src/policy/index.ts';

/**
 * ONNX models of Gemm, Conv, Relu and Flatten (onnx.proto, IR version 9, opset 17), as far as a policy needs them: protocol
 * buffers by hand, since nothing else here has any.
 */

/** Of the model's input `x`. */
export function inputShape({ observation, layers }: Architecture, batch: number): number[] {
  const [first] = layers;
  return first?.type === 'conv2d' ? [batch, first.cin, first.height, first.width] : [batch, observation];
}

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

/** The network of an architecture with made-up weights, for batches of this size. */
export function onnxModel(architecture: Architecture, batch: number): Uint8Array {
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
