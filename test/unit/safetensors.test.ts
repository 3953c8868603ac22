import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  INDEX_NAME,
  layoutBytes,
  MAX_HEADER_BYTES,
  parseHeader,
  parseLayout,
  plainLayout,
  SafetensorsSink,
  SafetensorsSource,
  sameLayout,
} from '../../src/storage/safetensors/index.ts';
import { expectCode } from '../helpers/expect-code.ts';
import { type FileTensor, rawSafetensors, safetensors } from '../helpers/safetensors.ts';

let root: string;
let folder: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'grail-safetensors-'));
});
beforeEach(() => {
  folder = mkdtempSync(join(root, 'case-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const tensor = (name: string, dtype: string, shape: number[], ...bytes: number[]): FileTensor => ({
  name,
  dtype,
  shape,
  bytes: Uint8Array.from(bytes),
});

function file(bytes: Uint8Array, name = 'model.safetensors'): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

/** The message with which a file is refused. */
async function refusal(bytes: Uint8Array): Promise<string> {
  const path = file(bytes);
  const { message } = await expectCode('TENSORS_INVALID', () => new SafetensorsSource(path));
  return message;
}

const entry = (dtype: string, shape: unknown[], begin: number, end: number) => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});
const headerOf = (value: object, data = 0) => rawSafetensors(JSON.stringify(value), new Uint8Array(data));

describe('a source', () => {
  test('gives tensors in ascending order of names, whatever their order in the file', () => {
    const path = file(
      safetensors([
        tensor('b', 'I8', [2], 3, 4),
        tensor('a', 'BF16', [1, 1], 1, 2),
        tensor('B', 'F32', [], 5, 6, 7, 8),
      ]),
    );
    const source = new SafetensorsSource(path);
    expect(source.specs).toEqual([
      { name: 'B', dtype: 'f32', shape: [] },
      { name: 'a', dtype: 'bf16', shape: [1, 1] },
      { name: 'b', dtype: 'int8', shape: [2] },
    ]);
    expect(source.specs.map((_, i) => [...source.read(i)])).toEqual([
      [5, 6, 7, 8],
      [1, 2],
      [3, 4],
    ]);
    source.close();
  });

  test.each([
    ['BOOL', 1, 'int8', [3]],
    ['U8', 1, 'int8', [3]],
    ['F8_E4M3', 1, 'int8', [3]],
    ['I16', 2, 'f16', [3]],
    ['U16', 2, 'f16', [3]],
    ['F16', 2, 'f16', [3]],
    ['U32', 4, 'int32', [3]],
    ['I32', 4, 'int32', [3]],
    ['F64', 8, 'int32', [6]],
    ['I64', 8, 'int32', [6]],
  ])('carries %s as %3$s', (dtype, bytes, carried, shape) => {
    const path = file(safetensors([{ name: 't', dtype, shape: [3], bytes: new Uint8Array(3 * bytes) }]));
    const source = new SafetensorsSource(path);
    expect(source.specs).toEqual([{ name: 't', dtype: carried, shape }]);
    source.close();
  });

  test('carries a scalar of eight bytes as a pair', () => {
    const source = new SafetensorsSource(file(safetensors([tensor('t', 'I64', [], 1, 2, 3, 4, 5, 6, 7, 8)])));
    expect(source.specs).toEqual([{ name: 't', dtype: 'int32', shape: [2] }]);
    source.close();
  });

  test('takes a file without tensors and tensors without elements', () => {
    const empty = new SafetensorsSource(file(safetensors([])));
    expect(empty.specs).toEqual([]);
    empty.close();
    const hollow = new SafetensorsSource(file(safetensors([tensor('t', 'F16', [0, 3])])));
    expect([...hollow.read(0)]).toEqual([]);
    hollow.close();
  });

  test('says when somebody wrote to its file', async () => {
    const path = file(safetensors([tensor('t', 'I8', [1], 1)]));
    const source = new SafetensorsSource(path);
    source.assertUnchanged();
    appendFileSync(path, 'x');
    await expectCode('TENSORS_INVALID', () => source.assertUnchanged());
    source.close();
  });

  test('says what is not there', async () => {
    await expectCode('NOT_FOUND', () => new SafetensorsSource(join(folder, 'missing')));
  });
});

describe('a file is refused when', () => {
  test('it ends before or within its header', async () => {
    expect(await refusal(Uint8Array.of(1, 0, 0))).toContain('ends before its header');
    expect(await refusal(headerOf({}).subarray(0, 9))).toContain('ends within its header');
  });

  test('its header is longer than the format allows', async () => {
    const prefix = Buffer.alloc(8);
    prefix.writeBigUInt64LE(BigInt(MAX_HEADER_BYTES + 1));
    expect(await refusal(prefix)).toContain(`longer than ${MAX_HEADER_BYTES}`);
    expect(await refusal(Buffer.alloc(8, 0xff))).toContain(`longer than ${MAX_HEADER_BYTES}`);
  });

  test.each(['', '{', 'null', '[]', '"text"', '1', ' {}', '\ufeff{}'])('its header is %j', async (text) => {
    expect(await refusal(rawSafetensors(text))).toMatch(/no JSON|does not begin with/);
  });

  test('its header is no UTF-8', async () => {
    expect(await refusal(rawSafetensors(Buffer.from('{"\xff":1}', 'latin1')))).toContain('no JSON');
  });

  test('its header is nested without end', async () => {
    const depth = 200_000;
    const text = `{"t":${'['.repeat(depth)}${']'.repeat(depth)}}`;
    expect(await refusal(rawSafetensors(text))).toContain('t: ');
  });

  test('metadata is not text', async () => {
    expect(await refusal(headerOf({ __metadata__: { step: 3 } }))).toContain('__metadata__');
    expect(await refusal(headerOf({ __metadata__: [] }))).toContain('__metadata__');
  });

  test.each([
    ['a field is missing', { dtype: 'I8', shape: [1] }],
    ['a field is unknown', { ...entry('I8', [1], 0, 1), extra: 1 }],
    ['a dimension is negative', entry('I8', [-1], 0, 1)],
    ['a dimension is no integer', entry('I8', [0.5], 0, 1)],
    ['it has too many dimensions', entry('I8', Array(9).fill(1), 0, 1)],
    ['an offset is no integer', entry('I8', [1], 0.5, 1.5)],
    ['the offsets are three', { ...entry('I8', [1], 0, 1), data_offsets: [0, 1, 1] }],
    ['an offset is not exact', entry('I8', [2 ** 53], 0, 2 ** 53)],
  ])('of a tensor %s', async (_, value) => {
    expect(await refusal(headerOf({ t: value }, 1))).toContain('t');
  });

  test('a type is unknown', async () => {
    for (const dtype of ['F4', 'bf16', '', 'constructor']) {
      expect(await refusal(headerOf({ t: entry(dtype, [1], 0, 1) }, 1))).toContain('has type');
    }
  });

  test('a tensor has not the bytes of its shape', async () => {
    expect(await refusal(headerOf({ t: entry('F32', [2], 0, 7) }, 7))).toContain('bytes of its shape');
    const huge = 2 ** 53 - 1;
    expect(await refusal(headerOf({ t: entry('F32', [huge, huge, 0], 0, 7) }, 7))).toContain(
      'bytes of its shape',
    );
  });

  test('tensors overlap or leave a gap', async () => {
    const overlap = { a: entry('I8', [2], 0, 2), b: entry('I8', [2], 1, 3) };
    expect(await refusal(headerOf(overlap, 3))).toContain('tensor b overlaps');
    const gap = { a: entry('I8', [2], 0, 2), b: entry('I8', [1], 3, 4) };
    expect(await refusal(headerOf(gap, 4))).toContain('leaves a gap');
    expect(await refusal(headerOf({ a: entry('I8', [1], 1, 2) }, 2))).toContain('leaves a gap');
  });

  test('a tensor lies beyond its end, or bytes follow the last one', async () => {
    const bytes = safetensors([tensor('t', 'I8', [3], 1, 2, 3)]);
    expect(await refusal(bytes.subarray(0, -1))).toContain('beyond its end');
    expect(await refusal(Buffer.concat([bytes, Buffer.alloc(1)]))).toContain('follow the last tensor');
  });

  test('a name is given twice', async () => {
    const hollow = JSON.stringify(entry('I8', [0], 0, 0));
    expect(await refusal(rawSafetensors(`{"t":${hollow},"t":${hollow}}`))).toContain('gives a name twice');
    const inner = '{"t":{"dtype":"I8","dtype":"I8","shape":[0],"data_offsets":[0,0]}}';
    expect(await refusal(rawSafetensors(inner))).toContain('gives a name twice');
    expect(await refusal(rawSafetensors('{"__metadata__":{"a:\\"":"1","a:\\"":"2"}}'))).toContain(
      'name twice',
    );
  });

  test('a name is too long, or no text', async () => {
    const named = (name: string) => headerOf({ [name]: entry('I8', [0], 0, 0) });
    expect(await refusal(named('é'.repeat(513)))).toContain('longer than 1024 bytes');
    new SafetensorsSource(file(named('é'.repeat(512)))).close();
    expect(await refusal(rawSafetensors('{"\\ud800":{}}'))).toContain('no Unicode text');
  });

  test('it has too many tensors', async () => {
    const hollow = JSON.stringify(entry('I8', [0], 0, 0));
    const many = Array.from({ length: 100_001 }, (_, i) => `"${i}":${hollow}`).join(',');
    expect(await refusal(rawSafetensors(`{${many}}`))).toContain('more than 100000 tensors');
  });
});

describe('a folder of shards', () => {
  const shards = () => {
    file(
      safetensors([tensor('c', 'I8', [1], 3), tensor('a', 'I8', [1], 1)]),
      'model-00001-of-00002.safetensors',
    );
    file(safetensors([tensor('b', 'I8', [1], 2)]), 'model-00002-of-00002.safetensors');
  };
  const index = (map: Record<string, string>) =>
    writeFileSync(join(folder, INDEX_NAME), JSON.stringify({ metadata: { total_size: 3 }, weight_map: map }));

  test('is one state, in ascending order of names over all shards', () => {
    shards();
    const source = new SafetensorsSource(folder);
    expect(source.specs.map(({ name }, i) => [name, ...source.read(i)])).toEqual([
      ['a', 1],
      ['b', 2],
      ['c', 3],
    ]);
    source.close();
  });

  test('is what its index lists, where it has one', () => {
    shards();
    index({ a: 'model-00001-of-00002.safetensors' });
    const source = new SafetensorsSource(folder);
    expect(source.specs.map(({ name }) => name)).toEqual(['a', 'c']);
    source.close();
  });

  test.each([
    ['a file outside of it', { a: '../model.safetensors' }],
    ['a hidden file', { a: '.model.safetensors' }],
    ['a file that lacks the tensor', { a: 'model-00002-of-00002.safetensors' }],
    ['nothing', {}],
  ])('is refused when its index lists %s', async (_, map) => {
    shards();
    index(map as Record<string, string>);
    await expectCode('TENSORS_INVALID', () => new SafetensorsSource(folder));
  });

  test('is refused when its index is no JSON, or lists a file that is not there', async () => {
    shards();
    writeFileSync(join(folder, INDEX_NAME), '{');
    await expectCode('TENSORS_INVALID', () => new SafetensorsSource(folder));
    index({ a: 'other.safetensors' });
    await expectCode('NOT_FOUND', () => new SafetensorsSource(folder));
  });

  test('is refused when it is empty, or a tensor is in two shards', async () => {
    await expectCode('TENSORS_INVALID', () => new SafetensorsSource(folder));
    shards();
    file(safetensors([tensor('a', 'I8', [1], 9)]), 'extra.safetensors');
    const { message } = await expectCode('TENSORS_INVALID', () => new SafetensorsSource(folder));
    expect(message).toContain('tensor a is in two files');
  });
});

describe('a sink', () => {
  const bytes = safetensors([tensor('b', 'I8', [2], 3, 4), tensor('a', 'F64', [1], 1, 2, 3, 4, 5, 6, 7, 8)], {
    format: 'pt',
  });

  /** A sink with everything that was read from the file. */
  function copied(path: string): SafetensorsSink {
    const source = new SafetensorsSource(file(bytes));
    const sink = new SafetensorsSink(path, source.layout);
    for (const i of source.specs.keys()) sink.write(i, source.read(i));
    source.close();
    return sink;
  }

  test('writes the same file, byte for byte, when it is committed', () => {
    const path = join(folder, 'copy.safetensors');
    const sink = copied(path);
    expect(readdirSync(folder)).not.toContain('copy.safetensors');
    sink.commit();
    sink.close();
    expect(readFileSync(path).equals(bytes)).toBe(true);
    expect(readdirSync(folder).sort()).toEqual(['copy.safetensors', 'model.safetensors']);
  });

  test('leaves what was there, and no trace, when it is not', () => {
    const path = join(folder, 'copy.safetensors');
    writeFileSync(path, 'before');
    copied(path).close();
    expect(readFileSync(path, 'utf8')).toBe('before');
    expect(readdirSync(folder).sort()).toEqual(['copy.safetensors', 'model.safetensors']);
  });

  test('is not committed with a tensor missing or of a wrong length', async () => {
    const source = new SafetensorsSource(file(bytes));
    const sink = new SafetensorsSink(join(folder, 'copy.safetensors'), source.layout);
    await expectCode('TENSORS_INVALID', () => sink.write(0, new Uint8Array(1)));
    sink.write(0, source.read(0));
    await expectCode('TENSORS_INVALID', () => sink.commit());
    sink.close();
    source.close();
  });

  test('needs a folder to write to, and no folder in its place', async () => {
    await expectCode('NOT_FOUND', () => copied(join(folder, 'missing', 'copy.safetensors')));
    mkdirSync(join(folder, 'taken'));
    await expectCode('USAGE', () => copied(join(folder, 'taken')));
  });
});

describe('a layout as bytes', () => {
  const specs = [
    { name: 'a', dtype: 'bf16', shape: [2, 2] },
    { name: 'b', dtype: 'int32', shape: [] },
  ] as const;
  const single = plainLayout(specs);
  const header = single.files[0]!.header;
  const folderLayout = {
    folder: true,
    files: [{ name: 'model-1.safetensors', header }],
    index: Buffer.from('{}'),
  };

  test.each([
    ['a file', single],
    ['a folder', folderLayout],
  ])('is the layout of %s again', (_, layout) => {
    expect(sameLayout(parseLayout(layoutBytes(layout)), layout)).toBe(true);
  });

  test('is refused when it is cut short at any place, or longer', async () => {
    const bytes = layoutBytes(folderLayout);
    for (let length = 0; length < bytes.length; length++) {
      await expectCode('TENSORS_INVALID', () => parseLayout(bytes.subarray(0, length)));
    }
    await expectCode('TENSORS_INVALID', () => parseLayout(Buffer.concat([bytes, Buffer.alloc(1)])));
  });

  test('is refused with names that leave the folder, or out of order', async () => {
    const named = (...names: string[]) =>
      layoutBytes({ folder: true, files: names.map((name) => ({ name, header })), index: null });
    for (const name of [
      '../x.safetensors',
      '/x.safetensors',
      'a/x.safetensors',
      '.x.safetensors',
      'x.py',
      '',
    ]) {
      await expectCode('TENSORS_INVALID', () => parseLayout(named(name)));
    }
    await expectCode('TENSORS_INVALID', () => parseLayout(named('b.safetensors', 'a.safetensors')));
    await expectCode('TENSORS_INVALID', () => parseLayout(named('a.safetensors', 'a.safetensors')));
    await expectCode('TENSORS_INVALID', () => parseLayout(layoutBytes({ ...folderLayout, folder: false })));
  });
});

test('a header keeps its bytes, padding included', () => {
  const bytes = Buffer.from('{"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}}   ');
  expect(parseHeader(bytes, 'x').bytes).toEqual(bytes);
});
