import {
  elementsOf,
  type Header,
  headerBytes,
  parseHeader,
  policyRootOf,
  sha256,
  stateIdOf,
  type Tensor,
  tag,
  u64,
} from './header.ts';
import { fade, freshModels, type Models, signed, type Type } from './models.ts';
import { type Coder, Decoder, Encoder, Refused, raw, tree } from './range-coder.ts';
import { codeTensor, grown, type Head, type Walked } from './tensor.ts';
import { codeWhole, length, makeFrequencies } from './values.ts';

/**
 * A second implementation of PULSE, slow and simple, written from docs/PROTOCOL.md alone: patches with and without
 * a history, overwriting and rooted ones, and anchors.
 */

export { stateIdOf, type Tensor } from './header.ts';
export { Refused } from './range-coder.ts';

type AllModels = Partial<Record<Type, Models>>;

export interface History {
  steps: number;
  tag: Buffer;
  marks: Uint8Array[];
  models: AllModels;
}

export interface Options {
  overwrite?: boolean;
  /** Absent: the patch has none. */
  history?: History | undefined;
  /** Of a rooted one: the architecture as canonical JSON. */
  architecture?: string;
}

export interface Made {
  bytes: Buffer;
  heads: (Head | null)[];
  history: History;
}

const freshMarks = (tensors: readonly Tensor[]): Uint8Array[] =>
  tensors.map(({ values }) => new Uint8Array(values.length).fill(63));

export const freshHistory = (tensors: readonly Tensor[]): History => ({
  steps: 0,
  tag: Buffer.alloc(8),
  marks: freshMarks(tensors),
  models: {},
});

const modelsOf = (all: AllModels, type: Type): Models => {
  all[type] ??= freshModels();
  return all[type];
};

export const idOf = (tensors: readonly Tensor[], architecture?: string): Buffer =>
  architecture === undefined ? stateIdOf(tensors) : policyRootOf(tensors, architecture);

function codeTensors(
  coder: Coder,
  base: readonly Tensor[],
  { overwrite = false, history }: Options,
  models: AllModels,
  target?: readonly Tensor[],
): Walked[] {
  return base.map((tensor, t) => {
    const { values } = tensor;
    if (values.length === 0)
      return { head: null, values, changed: new Uint8Array(0), down: new Uint8Array(0) };
    const marks = history?.marks[t] ?? new Uint8Array(values.length).fill(63);
    const work = { spec: tensor, overwrite, base: values, marks, target: target?.[t]?.values };
    return codeTensor(coder, modelsOf(models, tensor.type), work);
  });
}

function after(
  base: readonly Tensor[],
  history: History | undefined,
  models: AllModels,
  walked: Walked[],
  ids: readonly [Buffer, Buffer],
): History {
  if (!history) return freshHistory(base);
  Object.values(models).forEach(fade);
  const marks = history.marks.map((before, t) =>
    before.map((mark, i) => {
      const older = grown(mark);
      if (walked[t]!.changed[i] === 0) return older;
      const down = walked[t]!.down[i]!;
      return 128 * down + ((older & 63) < 63 && older >> 7 !== down ? 64 : 0);
    }),
  );
  const steps = u64(BigInt(history.steps));
  const next = sha256(tag('pulse-history'), steps, history.tag, ...ids).subarray(0, 8);
  return { steps: history.steps + 1, tag: next, marks, models };
}

export function encodePatch(base: readonly Tensor[], target: readonly Tensor[], options: Options = {}): Made {
  const { overwrite = false, history, architecture } = options;
  const models = structuredClone(history?.models ?? {});
  const coder = new Encoder();
  const walked = codeTensors(coder, base, options, models, target);
  const ids = [idOf(base, architecture), idOf(target, architecture)] as const;
  const header: Header = {
    kind: 'patch',
    overwrite,
    rooted: architecture !== undefined,
    baseId: ids[0],
    targetId: ids[1],
    history,
    extra: Buffer.alloc(0),
    tensors: [...target],
  };
  const bytes = Buffer.concat([headerBytes(header), coder.finish()]);
  const heads = walked.map(({ head }) => head);
  return { bytes, heads, history: after(base, history, models, walked, ids) };
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
const specOf = ({ name, type, shape }: Header['tensors'][number], rooted: boolean) => [
  rooted ? '' : name,
  type,
  shape,
];

export function applyPatch(
  base: readonly Tensor[],
  bytes: Uint8Array,
  held: History,
  architecture?: string,
): { tensors: Tensor[]; history: History } {
  const { header, code } = parseHeader(bytes, 'patch');
  const { rooted, overwrite } = header;
  const matches =
    rooted === (architecture !== undefined) &&
    same(
      header.tensors.map((spec) => specOf(spec, rooted)),
      base.map((spec) => specOf(spec, rooted)),
    );
  if (!matches || (!overwrite && !header.baseId.equals(idOf(base, architecture)))) {
    throw new Refused('PATCH_BASE_MISMATCH', 'not the base that is held');
  }
  if (header.history && (header.history.steps !== held.steps || !header.history.tag.equals(held.tag))) {
    throw new Refused('PATCH_HISTORY_MISMATCH', 'not the history that is held');
  }
  const history = header.history ? held : undefined;
  const models = structuredClone(history?.models ?? {});
  const coder = new Decoder(code);
  const walked = codeTensors(coder, base, { overwrite, history }, models);
  coder.finish();
  if (overwrite && header.baseId.equals(idOf(base, architecture))) {
    const idle = walked.some(({ values, changed }, t) =>
      values.some((value, i) => changed[i] === 1 && value === base[t]!.values[i]),
    );
    if (idle) throw new Refused('PATCH_FORMAT', 'a value that the base has');
  }
  const tensors = base.map((tensor, t) => ({ ...tensor, values: walked[t]!.values }));
  if (!header.targetId.equals(idOf(tensors, architecture))) {
    throw new Refused('PATCH_TARGET_MISMATCH', 'not the target that the header names');
  }
  return { tensors, history: after(base, history, models, walked, [header.baseId, header.targetId]) };
}

function codeAnchored(
  coder: Coder,
  models: Models,
  { type, ...spec }: Tensor,
  known?: Uint32Array,
): Uint32Array {
  const values = new Uint32Array(elementsOf({ type, ...spec }));
  const integers = type === 'int8' || type === 'int32';
  models.symbols.forEach(makeFrequencies);
  if (!integers || values.length > 65_536) {
    return values.map((_, i) => codeWhole(coder, models, type, known?.[i] ?? 0));
  }
  const zerosOf = (numbers: Uint32Array) => {
    let z = numbers.every((value) => value === 0) ? 0 : 31;
    for (const value of numbers) while (signed(type, value) % 2 ** z !== 0) z--;
    return z;
  };
  const z = type === 'int32' ? tree(coder, models.z, 5, known ? zerosOf(known) : 0) : 0;
  const half = type === 'int8' ? 128 : 2 ** 31;
  const made = values.map((_, i) => {
    const given = known ? signed(type, known[i]!) / 2 ** z : 0;
    const size = length(coder, models.length, 0, Math.abs(given) + 1) - 1;
    const negative = size !== 0 && raw(coder, 1, given < 0 ? 1 : 0) === 1;
    const value = (negative ? -size : size) * 2 ** z;
    if (value < -half || value >= half) throw new Refused('PATCH_FORMAT', 'a value leaves the type');
    return value < 0 ? value + 2 * half : value;
  });
  if (type === 'int32' && zerosOf(made) !== z) throw new Refused('PATCH_FORMAT', 'more zeros are shared');
  return made;
}

export function encodeAnchor(tensors: readonly Tensor[], architecture?: string): Buffer {
  const coder = new Encoder();
  const models: AllModels = {};
  for (const tensor of tensors) {
    codeAnchored(coder, modelsOf(models, tensor.type), tensor, tensor.values);
  }
  const header: Header = {
    kind: 'anchor',
    overwrite: false,
    rooted: architecture !== undefined,
    baseId: Buffer.alloc(0),
    targetId: idOf(tensors, architecture),
    extra: Buffer.from(architecture ?? ''),
    tensors: [...tensors],
  };
  return Buffer.concat([headerBytes(header), coder.finish()]);
}

export function decodeAnchor(bytes: Uint8Array): Tensor[] {
  const { header, code } = parseHeader(bytes, 'anchor');
  const coder = new Decoder(code);
  const models: AllModels = {};
  const tensors = header.tensors.map((spec) => {
    const empty = { ...spec, values: new Uint32Array(0) };
    return { ...spec, values: codeAnchored(coder, modelsOf(models, spec.type), empty) };
  });
  coder.finish();
  const architecture = header.rooted ? header.extra.toString() : undefined;
  if (!header.targetId.equals(idOf(tensors, architecture))) {
    throw new Refused('PATCH_TARGET_MISMATCH', 'not the state that the header names');
  }
  return tensors;
}
