import { keccak_256 } from '@noble/hashes/sha3.js';
import { concat, fromHex, u8, u32, u64, utf8 } from './bytes.ts';

/** EIP-712 for structs whose fields are plain values. A property test holds it to ethers, which takes ten times as long. */

export type FieldType =
  | 'address'
  | 'bool'
  | 'bytes'
  | 'bytes32'
  | 'bytes32[]'
  | 'string'
  | 'uint32'
  | 'uint64'
  | 'uint256';

export interface Field {
  readonly name: string;
  readonly type: FieldType;
}

/** Values of a struct by the names of its fields: hex for bytes, safe integers for numbers. */
export type StructValue = Readonly<Record<string, unknown>>;

const WORD_BYTES = 32;
const PREFIX = new Uint8Array([0x19, 0x01]);

/** Makes EIP-712's hashStruct for one type of struct; it throws RangeError on a value that its field cannot hold. */
export function structHasher(name: string, fields: readonly Field[]): (value: StructValue) => Uint8Array {
  const signature = fields.map((field) => `${field.type} ${field.name}`).join(',');
  const typeHash = keccak_256(utf8(`${name}(${signature})`));
  return (value) => {
    const words = new Uint8Array(WORD_BYTES * (1 + fields.length));
    words.set(typeHash);
    for (const [i, field] of fields.entries()) {
      const bytes = encodeValue(field.type, value[field.name]);
      words.set(bytes, WORD_BYTES * (i + 2) - bytes.length);
    }
    return keccak_256(words);
  };
}

/** What is signed: the hash of a struct under a domain, 32 bytes. */
export function typedDataDigest(domainSeparator: Uint8Array, structHash: Uint8Array): Uint8Array {
  return keccak_256(concat(PREFIX, domainSeparator, structHash));
}

/** A value's word, without the zero bytes before it. */
function encodeValue(type: FieldType, value: unknown): Uint8Array {
  switch (type) {
    case 'address':
      return hexOf(value, 20);
    case 'bytes32':
      return hexOf(value, WORD_BYTES);
    case 'bytes32[]':
      return keccak_256(
        concat(...(value as readonly unknown[]).map((element) => hexOf(element, WORD_BYTES))),
      );
    case 'bytes':
      return keccak_256(fromHex(value as string));
    case 'string':
      return keccak_256(utf8(value as string));
    case 'bool':
      return u8(value === true ? 1 : 0);
    case 'uint32':
      return u32(value as number);
    case 'uint64':
    case 'uint256':
      return u64(value as number);
  }
}

function hexOf(value: unknown, length: number): Uint8Array {
  const bytes = fromHex(value as string);
  if (bytes.length !== length) throw new RangeError(`expected ${length} bytes, got ${bytes.length}`);
  return bytes;
}
