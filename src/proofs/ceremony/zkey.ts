import { readFile } from 'node:fs/promises';
import { concat, type Hex, toHex } from '../../protocol/bytes.ts';
import { GrailError } from '../../protocol/errors.ts';
import { sha256 } from '../../protocol/hash.ts';
import { bn254 } from '../curve.ts';
import { verificationKeyOf } from '../development-keys.ts';
import { publicsOf, type Section, sectionsOf, viewOf } from '../sections.ts';
import type { VerificationKey } from '../verification-key.ts';
import type { Contribution } from './contributions.ts';

/** What a ceremony needs to know of a snarkjs .zkey file. */
export interface CeremonyKey {
  readonly sha256: Hex;
  /** BLAKE2b-512 over the key before any contribution. 64 bytes. */
  readonly circuitHash: Uint8Array;
  readonly contributions: readonly Contribution[];
  readonly verificationKey: VerificationKey;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads a .zkey file: its hash, its verification key and the contributions in its section 10. Nothing of it is checked but
 * its form.
 * @throws GrailError CEREMONY_TRANSCRIPT when the file is missing, CEREMONY_KEY when it is none
 */
export async function readCeremonyKey(path: string): Promise<CeremonyKey> {
  const bytes = new Uint8Array(
    await readFile(path).catch((cause: unknown) => {
      throw new GrailError(
        'CEREMONY_TRANSCRIPT',
        `${path} is missing: get it with the transcript`,
        { path },
        { cause },
      );
    }),
  );
  try {
    return await parse(bytes);
  } catch (cause) {
    throw new GrailError('CEREMONY_KEY', `${path} is no Groth16 proving key of snarkjs`, { path }, { cause });
  }
}

async function parse(bytes: Uint8Array): Promise<CeremonyKey> {
  const curve = await bn254();
  const section = keySections(bytes);
  const view = viewOf(bytes);
  if (section(2).size !== 660 || section(3).size !== 64 * (publicsOf(bytes) + 1)) {
    throw new RangeError('its header is damaged');
  }
  let position = section(10).at;
  const end = position + section(10).size;
  const take = (length: number) => {
    position += length;
    if (position > end) throw new RangeError('a section ends early');
    return bytes.subarray(position - length, position);
  };
  const u32 = () => {
    take(4);
    return view.getUint32(position - 4, true);
  };
  const circuitHash = take(64).slice();
  const contributions: Contribution[] = [];
  for (let count = u32(); count > 0; count--) {
    const points = [0, 1, 2].map(() => curve.G1.toUncompressed(take(64).slice()));
    points.push(curve.G2.toUncompressed(take(128).slice()));
    const record = concat(...points, take(64));
    const type = u32();
    const parameters = readParameters(take(u32()));
    if (type !== 0 && type !== 1) throw new RangeError(`a contribution of type ${type}`);
    const { name, iterationsExp, value } = parameters;
    if (type === 1 && (iterationsExp === undefined || value === undefined))
      throw new RangeError('a beacon without value');
    contributions.push({
      record,
      name: name ?? '',
      beacon: type === 1 ? { value: toHex(value!), iterationsExp: iterationsExp! } : null,
    });
  }
  if (position !== end) throw new RangeError('a section is too long');
  return {
    sha256: toHex(sha256(bytes)),
    circuitHash,
    contributions,
    verificationKey: verificationKeyOf(curve, bytes),
  };
}

/** The sections of a Groth16 key, all of them there. */
function keySections(bytes: Uint8Array): (id: number) => Section {
  const found = sectionsOf(bytes, 'zkey');
  for (let id = 1; id <= 10; id++) if (!found.has(id)) throw new RangeError(`no section ${id}`);
  if (viewOf(bytes).getUint32(found.get(1)!.at, true) !== 1) throw new RangeError('not Groth16');
  return (id) => found.get(id)!;
}

/** Parameters of a contribution: 1 name, 2 exponent of iterations, 3 beacon value. */
function readParameters(bytes: Uint8Array) {
  const found: { name?: string; iterationsExp?: number; value?: Uint8Array } = {};
  for (let at = 0, last = 0; at < bytes.length; ) {
    const type = bytes[at]!;
    if (type <= last) throw new RangeError('parameters are not sorted');
    last = type;
    const length = type === 2 ? 0 : bytes[at + 1]!;
    const content = bytes.slice(at + 2, at + 2 + length);
    if (content.length !== length) throw new RangeError('a parameter ends early');
    if (type === 1) found.name = decoder.decode(content);
    else if (type === 2) found.iterationsExp = bytes[at + 1]!;
    else if (type === 3) found.value = content;
    else throw new RangeError('an unknown parameter');
    at += 2 + length;
  }
  return found;
}
