/** A tensor of a file: its type as the file names it. */
export interface FileTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** A file with a header of any kind. */
export function rawSafetensors(header: string | Uint8Array, data: Uint8Array = new Uint8Array(0)): Buffer {
  const bytes = Buffer.from(header as string);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([prefix, bytes, data]);
}

/** A sound file with these tensors in their order. */
export function safetensors(tensors: readonly FileTensor[], metadata?: Record<string, string>): Buffer {
  let at = 0;
  const header: Record<string, unknown> = metadata === undefined ? {} : { __metadata__: metadata };
  for (const { name, dtype, shape, bytes } of tensors) {
    header[name] = { dtype, shape, data_offsets: [at, at + bytes.length] };
    at += bytes.length;
  }
  const text = JSON.stringify(header);
  return rawSafetensors(
    text.padEnd(8 * Math.ceil(text.length / 8)),
    Buffer.concat(tensors.map(({ bytes }) => bytes)),
  );
}
