import { z } from 'zod';
import { MAX_ACTION_BYTES, MAX_OBSERVATION_BYTES, PROOF_BYTES } from '../params/constants.ts';
import { addressSchema, hash32Schema } from '../params/genesis.ts';
import { type Hex, toHex } from './bytes.ts';
import { GrailError } from './errors.ts';
import { type Identity, recover } from './identity.ts';
import { type StructValue, structHasher, typedDataDigest } from './typed-data.ts';

/**
 * The five messages of a miner, their EIP-712 types and their wire form (docs/PROTOCOL.md, Messages). A message's
 * digest is the EIP-712 digest, signature excluded.
 */

const hexBytes = (max: number) =>
  z
    .string()
    .max(2 + 2 * max, `at most ${max} bytes`)
    .regex(/^0x(?:[0-9a-f]{2})*$/, 'expected lower-case 0x hex')
    .transform((value) => value as Hex);

const window = z
  .int()
  .min(0)
  .max(2 ** 40);
const signature = z
  .string()
  .regex(/^0x[0-9a-f]{130}$/, 'expected a 65-byte signature as lower-case 0x hex')
  .transform((value) => value as Hex);

export const messageSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('register'), miner: addressSchema, signature }),
  z.strictObject({
    type: z.literal('enrol'),
    miner: addressSchema,
    window,
    slots: z.int().min(1).max(65_536),
    signature,
  }),
  z.strictObject({
    type: z.literal('commit'),
    miner: addressSchema,
    window,
    policyRoot: hash32Schema,
    commitRoot: hash32Schema,
    actions: hexBytes(MAX_ACTION_BYTES),
    signature,
  }),
  z.strictObject({
    type: z.literal('opening'),
    miner: addressSchema,
    window,
    /** The challenge that it answers: a signature under another one must not pass for an answer to this. */
    challengeSeed: hash32Schema,
    traceDigests: z.array(hash32Schema).min(1).max(4096),
    observations: hexBytes(MAX_OBSERVATION_BYTES),
    signature,
  }),
  z.strictObject({
    type: z.literal('proof'),
    miner: addressSchema,
    window,
    part: z.int().min(0).max(4095),
    proof: hexBytes(PROOF_BYTES),
    signature,
  }),
]);

export type Message = z.infer<typeof messageSchema>;
export type MessageType = Message['type'];
export type MessageOf<T extends MessageType> = Extract<Message, { type: T }>;
/** A message before it is signed. */
export type Unsigned<M extends Message = Message> = M extends Message ? Omit<M, 'signature'> : never;

/** hashStruct of every message, without its signature. */
const MESSAGE_HASHERS: Readonly<Record<MessageType, (value: StructValue) => Uint8Array>> = {
  register: structHasher('Register', [{ name: 'miner', type: 'address' }]),
  enrol: structHasher('Enrol', [
    { name: 'miner', type: 'address' },
    { name: 'window', type: 'uint64' },
    { name: 'slots', type: 'uint32' },
  ]),
  commit: structHasher('Commit', [
    { name: 'miner', type: 'address' },
    { name: 'window', type: 'uint64' },
    { name: 'policyRoot', type: 'bytes32' },
    { name: 'commitRoot', type: 'bytes32' },
    { name: 'actions', type: 'bytes' },
  ]),
  opening: structHasher('Opening', [
    { name: 'miner', type: 'address' },
    { name: 'window', type: 'uint64' },
    { name: 'challengeSeed', type: 'bytes32' },
    { name: 'traceDigests', type: 'bytes32[]' },
    { name: 'observations', type: 'bytes' },
  ]),
  proof: structHasher('Proof', [
    { name: 'miner', type: 'address' },
    { name: 'window', type: 'uint64' },
    { name: 'part', type: 'uint32' },
    { name: 'proof', type: 'bytes' },
  ]),
};

/** hashStruct of what a verifier signs. */
const ATTESTATION_HASHERS = {
  acknowledgement: structHasher('Acknowledgement', [
    { name: 'messageHash', type: 'bytes32' },
    { name: 'window', type: 'uint64' },
    { name: 'phase', type: 'string' },
    { name: 'view', type: 'uint64' },
    { name: 'index', type: 'uint64' },
    { name: 'treeSize', type: 'uint64' },
    { name: 'treeRoot', type: 'bytes32' },
  ]),
  treeHead: structHasher('TreeHead', [
    { name: 'window', type: 'uint64' },
    { name: 'phase', type: 'string' },
    { name: 'view', type: 'uint64' },
    { name: 'treeSize', type: 'uint64' },
    { name: 'treeRoot', type: 'bytes32' },
  ]),
  receipt: structHasher('Receipt', [
    { name: 'miner', type: 'address' },
    { name: 'window', type: 'uint64' },
    { name: 'view', type: 'uint64' },
    { name: 'slots', type: 'uint32' },
    { name: 'credit', type: 'uint64' },
    { name: 'resultHash', type: 'bytes32' },
    { name: 'index', type: 'uint64' },
    { name: 'insecureDev', type: 'bool' },
  ]),
};

export type AttestationType = keyof typeof ATTESTATION_HASHERS;

/** The network that a signature is for. */
export interface SigningDomain {
  readonly chainId: number;
  readonly genesisHash: Uint8Array;
}

const hashDomain = structHasher('EIP712Domain', [
  { name: 'name', type: 'string' },
  { name: 'version', type: 'string' },
  { name: 'chainId', type: 'uint256' },
  { name: 'verifyingContract', type: 'address' },
  { name: 'salt', type: 'bytes32' },
]);
const domainSeparators = new WeakMap<SigningDomain, Uint8Array>();

function domainSeparator(domain: SigningDomain): Uint8Array {
  let separator = domainSeparators.get(domain);
  if (separator === undefined) {
    separator = hashDomain({
      name: 'GRAIL',
      version: '1',
      chainId: domain.chainId,
      verifyingContract: '0x0000000000000000000000000000000000000000',
      salt: toHex(domain.genesisHash),
    });
    domainSeparators.set(domain, separator);
  }
  return separator;
}

/** The EIP-712 digest of a message, 32 bytes: its identity in the protocol. */
export function messageDigest(domain: SigningDomain, message: Unsigned | Message): Uint8Array {
  return typedDataDigest(domainSeparator(domain), MESSAGE_HASHERS[message.type](message));
}

/** The EIP-712 digest of something that a verifier signs, 32 bytes. */
export function attestationDigest(
  domain: SigningDomain,
  type: AttestationType,
  value: StructValue,
): Uint8Array {
  return typedDataDigest(domainSeparator(domain), ATTESTATION_HASHERS[type](value));
}

/** Signs a message with the miner's key. */
export function signMessage<M extends Unsigned>(
  domain: SigningDomain,
  identity: Identity,
  message: M,
): M & { signature: Hex } {
  return { ...message, signature: identity.sign(messageDigest(domain, message)) };
}

/**
 * Parses a message from the wire.
 * @throws GrailError BAD_REQUEST naming the first field that is wrong.
 */
export function parseMessage(value: unknown): Message {
  const result = messageSchema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const where = issue.path.join('.') || 'message';
  throw new GrailError('BAD_REQUEST', `${where}: ${issue.message}`, { path: issue.path.map(String) });
}

/**
 * Checks that the miner whom the message names signed it.
 * @throws GrailError BAD_SIGNATURE
 */
export function checkSignature(message: Message, digest: Uint8Array): void {
  const signer = recover(digest, message.signature);
  if (signer !== message.miner) {
    throw new GrailError('BAD_SIGNATURE', 'the signature is not that of the miner it names', {
      expected: message.miner,
      got: signer,
    });
  }
}
