import { scrypt as nodeScrypt, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { computeAddress, decryptKeystoreJson, encryptKeystoreJson, scrypt } from 'ethers';
import { fromHex, type Hex, toHex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { Identity } from '../protocol/identity.ts';
import { type PasswordSource, readPassword } from './password.ts';

/**
 * Keystores: Web3 Secret Storage version 3, as ethers and geth write it. `standard` takes about half a second and 128 MiB
 * to try one password; `fast` takes nothing and protects nothing, for devnets.
 */
export const SCRYPT = { standard: { N: 131_072, r: 8, p: 1 }, fast: { N: 2, r: 8, p: 1 } } as const;

/** Largest file that is read as a keystore, and the most memory that one may make scrypt take. */
const MAX_KEYSTORE_BYTES = 65_536;
const MAX_SCRYPT_BYTES = 1_073_741_824;
/** Most work of a try: N·r·p of scrypt, sixteen times that of `standard`, and rounds of PBKDF2. Some seconds each. */
const MAX_SCRYPT_WORK = 16_777_216;
const MAX_PBKDF2_ROUNDS = 10_000_000;

const openssl = promisify<string | Uint8Array, Uint8Array, number, object, Buffer>(nodeScrypt);

// OpenSSL's scrypt: the same function as that of ethers in JavaScript, ten times faster, with bounded memory.
scrypt.register(async (password, salt, N, r, p, length) =>
  openssl(password, salt, length, { N, r, p, maxmem: MAX_SCRYPT_BYTES }),
);

/** What a keystore says without its password. */
export interface KeystoreInfo {
  /** As the file claims: only decrypting it shows that the key is that of the address. */
  readonly address: Hex;
  /** Whether trying passwords is cheap. */
  readonly fast: boolean;
}

function read(file: string): string {
  try {
    if (statSync(file).size > MAX_KEYSTORE_BYTES) throw new Error('it is too large to be a keystore');
    return readFileSync(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new GrailError('KEYSTORE_INVALID', `${file} cannot be read: ${reason}`, { file });
  }
}

/**
 * Reads what a keystore says without its password.
 * @throws GrailError KEYSTORE_INVALID
 */
export function inspectKeystore(file: string): KeystoreInfo {
  const invalid = new GrailError(
    'KEYSTORE_INVALID',
    `${file} is not a keystore (Web3 Secret Storage, version 3)`,
    {
      file,
    },
  );
  let value: { version?: unknown; address?: unknown } | null;
  try {
    value = JSON.parse(read(file));
  } catch (error) {
    if (error instanceof GrailError) throw error;
    throw invalid;
  }
  const { version, address } = value ?? {};
  if (version !== 3 || typeof address !== 'string') throw invalid;
  const text = address.replace(/^0x/, '').toLowerCase();
  if (!/^[0-9a-f]{40}$/.test(text)) throw invalid;
  const params = member(member(value, 'crypto'), 'kdfparams');
  const cost = (name: string) => {
    const value = member(params, name) ?? 1;
    return typeof value === 'object' ? Number.NaN : Number(value);
  };
  const [n, rounds] = [cost('n'), cost('c')];
  if (!(n * cost('r') * cost('p') <= MAX_SCRYPT_WORK && rounds <= MAX_PBKDF2_ROUNDS)) {
    throw new GrailError('KEYSTORE_INVALID', `${file} asks for more work than a keystore may`, { file });
  }
  return { address: `0x${text}`, fast: n < 4096 && rounds < 4096 };
}

/** A member of an object by its name, in any case: writers of keystores differ, and readers forgive it. */
function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.entries(value).find(([key]) => key.toLowerCase() === name)?.[1];
}

/**
 * Writes a key, a new one unless it is given, encrypted, to a new file that only its owner can read.
 * @throws GrailError USAGE when the file exists: a key is never overwritten
 */
export async function createKeystore(
  file: string,
  password: string,
  strength: keyof typeof SCRYPT,
  privateKey: Uint8Array = randomBytes(32),
): Promise<Identity> {
  const account = { address: computeAddress(toHex(privateKey)), privateKey: toHex(privateKey) };
  const json = await encryptKeystoreJson(account, password, { scrypt: SCRYPT[strength] });
  mkdirSync(dirname(file), { recursive: true });
  try {
    writeFileSync(file, `${json}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
      throw new GrailError('USAGE', `${file} exists; a key is never overwritten, choose another --keystore`);
    }
    throw new GrailError('KEYSTORE_INVALID', `${file} cannot be written: ${(error as Error).message}`, {
      file,
    });
  }
  return new Identity(privateKey);
}

/**
 * Decrypts a keystore.
 * @throws GrailError KEYSTORE_INVALID when the file is no keystore or the password is wrong; USAGE when there is none
 */
export async function loadIdentity(file: string, source: PasswordSource): Promise<Identity> {
  const { address } = inspectKeystore(file);
  const password = await readPassword(source);
  let privateKey: string;
  try {
    ({ privateKey } = await decryptKeystoreJson(read(file), password));
  } catch (error) {
    const wrong = /incorrect password/.test((error as Error).message);
    throw new GrailError(
      'KEYSTORE_INVALID',
      wrong ? `the password does not open ${file}` : `${file} is damaged or asks for too much memory`,
      { file, address },
      { cause: error },
    );
  }
  return new Identity(fromHex(privateKey));
}
