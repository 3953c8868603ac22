import { MAX_TENSORS } from '../../pulse/format.ts';
import type { TensorSpec } from '../../pulse/index.ts';
import { type Header, type HeaderEntry, PREFIX_BYTES } from './header.ts';
import { unsound } from './refuse.ts';

/** Most files of a state. */
export const MAX_SHARDS = 1_000;
/** The file of a folder that says which tensor is in which shard. */
export const INDEX_NAME = 'model.safetensors.index.json';

export interface LayoutFile {
  /** Name in its folder; empty for a state of a single file, whose name is the person's business. */
  readonly name: string;
  readonly header: Header;
}

/** Everything about the files of a state but its tensors' bytes: the two together are the files, byte for byte. */
export interface Layout {
  readonly folder: boolean;
  /** In ascending order of names. */
  readonly files: readonly LayoutFile[];
  /** The bytes of INDEX_NAME, where a folder has one. */
  readonly index: Uint8Array | null;
}

/** Where a tensor lies. */
export interface Placement {
  readonly spec: TensorSpec;
  /** Which of the layout's files. */
  readonly file: number;
  /** From the beginning of the file. */
  readonly offset: number;
  readonly bytes: number;
}

/** The tensors of all files in ascending order of names. @throws GrailError TENSORS_INVALID */
export function placements({ files }: Layout): Placement[] {
  const all = files.flatMap(({ header }, file) => header.entries.map((entry) => place(header, entry, file)));
  if (all.length > MAX_TENSORS) {
    throw unsound('the folder', `it has more than ${MAX_TENSORS} tensors`, { got: all.length });
  }
  all.sort((a, b) => (a.spec.name < b.spec.name ? -1 : 1));
  for (const [i, { spec, file }] of all.entries()) {
    const before = all[i - 1];
    if (before?.spec.name !== spec.name) continue;
    const both = [before, { file }].map((where) => files[where.file]!.name);
    throw unsound(both[1]!, `tensor ${spec.name} is in two files`, { files: both });
  }
  return all;
}

function place({ bytes }: Header, { spec, begin, end }: HeaderEntry, file: number): Placement {
  return { spec, file, offset: PREFIX_BYTES + bytes.length + begin, bytes: end - begin };
}

/** Whether two states have the same files but for their tensors' bytes. */
export function sameLayout(a: Layout, b: Layout): boolean {
  return (
    a.folder === b.folder &&
    a.files.length === b.files.length &&
    a.files.every(
      ({ name, header }, i) => name === b.files[i]!.name && same(header.bytes, b.files[i]!.header.bytes),
    ) &&
    (a.index === null || b.index === null ? a.index === b.index : same(a.index, b.index))
  );
}

const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;
