import { utf8 } from '../../protocol/bytes.ts';
import { byteLength, type Dtype, type TensorSpec } from '../../pulse/index.ts';
import { parseHeader } from './header.ts';
import type { Layout } from './layout.ts';

const FILE_NAMES: Readonly<Record<Dtype, string>> = {
  int8: 'I8',
  int32: 'I32',
  bf16: 'BF16',
  f16: 'F16',
  f32: 'F32',
};

/** One file with these tensors in their order, for bytes that say nothing of files. @throws GrailError TENSORS_INVALID */
export function plainLayout(specs: readonly TensorSpec[]): Layout {
  let at = 0;
  const entries = specs.map((spec) => {
    const begin = at;
    at += byteLength(spec);
    return [
      spec.name,
      { dtype: FILE_NAMES[spec.dtype], shape: spec.shape, data_offsets: [begin, at] },
    ] as const;
  });
  const text = JSON.stringify(Object.fromEntries(entries));
  const padded = utf8(text + ' '.repeat((8 - (utf8(text).length % 8)) % 8));
  return { folder: false, files: [{ name: '', header: parseHeader(padded, 'the new file') }], index: null };
}
