import { TypedDataEncoder } from 'ethers';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Hex, toHex } from '../../src/protocol/bytes.ts';
import { attestationDigest, messageDigest, type Unsigned } from '../../src/protocol/messages.ts';
import { type Field, type FieldType, structHasher } from '../../src/protocol/typed-data.ts';

const options = { numRuns: process.env.GRAIL_LONG ? 100_000 : 2000, seed: 13 };

const hex = (minLength: number, maxLength = minLength): fc.Arbitrary<Hex> =>
  fc.uint8Array({ minLength, maxLength }).map(toHex);
const safe = fc.maxSafeNat();

/** What the fields of each type hold. */
const VALUES: Readonly<Record<FieldType, fc.Arbitrary<unknown>>> = {
  address: hex(20),
  bool: fc.boolean(),
  bytes: hex(0, 300),
  bytes32: hex(32),
  'bytes32[]': fc.array(hex(32), { maxLength: 5 }),
  string: fc.string({ unit: 'binary', maxLength: 40 }),
  uint32: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  uint64: safe,
  uint256: safe,
};
const types = Object.keys(VALUES) as FieldType[];

const structs = fc
  .array(
    fc.constantFrom(...types).chain((type) => VALUES[type].map((value) => ({ type, value }))),
    { minLength: 1, maxLength: 8 },
  )
  .map((columns) => ({
    fields: columns.map(({ type }, i): Field => ({ name: `field${i}`, type })),
    value: Object.fromEntries(columns.map(({ value }, i) => [`field${i}`, value])),
  }));

test('a struct of any plain fields has the hash that ethers gives it', () => {
  fc.assert(
    fc.property(structs, ({ fields, value }) => {
      const expected = TypedDataEncoder.hashStruct('Struct', { Struct: [...fields] }, value);
      expect(toHex(structHasher('Struct', fields)(value))).toBe(expected);
    }),
    options,
  );
});

const uint64: Field['type'] = 'uint64';
const MESSAGE_TYPES: Readonly<Record<Unsigned['type'], readonly [string, readonly Field[]]>> = {
  register: ['Register', [{ name: 'miner', type: 'address' }]],
  enrol: [
    'Enrol',
    [
      { name: 'miner', type: 'address' },
      { name: 'window', type: uint64 },
      { name: 'slots', type: 'uint32' },
    ],
  ],
  commit: [
    'Commit',
    [
      { name: 'miner', type: 'address' },
      { name: 'window', type: uint64 },
      { name: 'policyRoot', type: 'bytes32' },
      { name: 'commitRoot', type: 'bytes32' },
      { name: 'actions', type: 'bytes' },
    ],
  ],
  opening: [
    'Opening',
    [
      { name: 'miner', type: 'address' },
      { name: 'window', type: uint64 },
      { name: 'challengeSeed', type: 'bytes32' },
      { name: 'traceDigests', type: 'bytes32[]' },
      { name: 'observations', type: 'bytes' },
    ],
  ],
  proof: [
    'Proof',
    [
      { name: 'miner', type: 'address' },
      { name: 'window', type: uint64 },
      { name: 'part', type: 'uint32' },
      { name: 'proof', type: 'bytes' },
    ],
  ],
};

const ATTESTATION_TYPES = {
  acknowledgement: [
    'Acknowledgement',
    [
      { name: 'messageHash', type: 'bytes32' },
      { name: 'window', type: uint64 },
      { name: 'phase', type: 'string' },
      { name: 'view', type: uint64 },
      { name: 'index', type: uint64 },
      { name: 'treeSize', type: uint64 },
      { name: 'treeRoot', type: 'bytes32' },
    ],
  ],
  treeHead: [
    'TreeHead',
    [
      { name: 'window', type: uint64 },
      { name: 'phase', type: 'string' },
      { name: 'view', type: uint64 },
      { name: 'treeSize', type: uint64 },
      { name: 'treeRoot', type: 'bytes32' },
    ],
  ],
  receipt: [
    'Receipt',
    [
      { name: 'miner', type: 'address' },
      { name: 'window', type: uint64 },
      { name: 'view', type: uint64 },
      { name: 'slots', type: 'uint32' },
      { name: 'credit', type: uint64 },
      { name: 'resultHash', type: 'bytes32' },
      { name: 'index', type: uint64 },
      { name: 'insecureDev', type: 'bool' },
    ],
  ],
} as const satisfies Record<string, readonly [string, readonly Field[]]>;

const valuesOf = (fields: readonly Field[]) =>
  fc.record(Object.fromEntries(fields.map(({ name, type }) => [name, VALUES[type]])));
const domains = fc.record({
  chainId: safe,
  genesisHash: fc.uint8Array({ minLength: 32, maxLength: 32 }),
});

/** The digest that ethers computes from the types of PROTOCOL.md. */
function byEthers(
  domain: { chainId: number; genesisHash: Uint8Array },
  [name, fields]: readonly [string, readonly Field[]],
  value: Record<string, unknown>,
): string {
  const eip712Domain = {
    name: 'GRAIL',
    version: '1',
    chainId: domain.chainId,
    verifyingContract: `0x${'00'.repeat(20)}`,
    salt: toHex(domain.genesisHash),
  };
  return TypedDataEncoder.hash(eip712Domain, { [name]: [...fields] }, value);
}

test.each(Object.keys(MESSAGE_TYPES) as Unsigned['type'][])('the digest of %s is ethers’', (type) => {
  const described = MESSAGE_TYPES[type];
  fc.assert(
    fc.property(domains, valuesOf(described[1]), (domain, value) => {
      const message = { type, ...value } as unknown as Unsigned;
      expect(toHex(messageDigest(domain, message))).toBe(byEthers(domain, described, value));
    }),
    options,
  );
});

test.each(Object.keys(ATTESTATION_TYPES) as (keyof typeof ATTESTATION_TYPES)[])(
  'the digest of %s is ethers’',
  (type) => {
    const described = ATTESTATION_TYPES[type];
    fc.assert(
      fc.property(domains, valuesOf(described[1]), (domain, value) => {
        expect(toHex(attestationDigest(domain, type, value))).toBe(byEthers(domain, described, value));
      }),
      options,
    );
  },
);
