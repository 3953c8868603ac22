/**
 * Compiles Solidity with this folder's settings and prints what comes out, to compare with what stands on a chain. Imports are
 * read from disk.
 *
 *     node contracts/compile.ts FILE.sol
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import solc from 'solc';
import { fromHex, type Hex, toHex, utf8 } from '../src/protocol/bytes.ts';
import { sha256 } from '../src/protocol/hash.ts';
import { useNodeSha256 } from '../src/storage/node-hash.ts';

export interface CompiledContract {
  readonly name: string;
  readonly abi: readonly object[];
  /** What a deployment sends. */
  readonly creation: Hex;
  /** What then stands on the chain. */
  readonly runtime: Hex;
}

interface Bytecode {
  readonly object: string;
}

interface Output {
  readonly errors?: readonly { readonly formattedMessage: string }[];
  readonly contracts?: {
    readonly [file: string]: {
      readonly [name: string]: {
        readonly abi: readonly object[];
        readonly evm: { readonly bytecode: Bytecode; readonly deployedBytecode: Bytecode };
      };
    };
  };
}

/** The version of the compiler, with the commit that it was built from. */
export const COMPILER: string = solc.version();

/**
 * The contracts of one source file that can be deployed, by name. The same text gives the same bytes: they contain no
 * hash of paths or comments.
 * @param path where the text stands or would stand: relative imports start from it
 * @throws Error with the compiler's messages, warnings included
 */
export function compileSolidity(source: string, path = 'source.sol'): ReadonlyMap<string, CompiledContract> {
  const settings = JSON.parse(readFileSync(new URL('settings.json', import.meta.url), 'utf8')) as object;
  const input = {
    language: 'Solidity',
    sources: { [path]: { content: source } },
    settings: {
      ...settings,
      outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: readImport })) as Output;
  if (output.errors) throw new Error(output.errors.map((error) => error.formattedMessage).join('\n'));
  const contracts = Object.entries(output.contracts![path]!).flatMap(([name, { abi, evm }]) => {
    const { bytecode, deployedBytecode } = evm;
    if (bytecode.object === '') return [];
    const contract: CompiledContract = {
      name,
      abi,
      creation: `0x${bytecode.object}`,
      runtime: `0x${deployedBytecode.object}`,
    };
    return [[name, contract] as const];
  });
  return new Map(contracts);
}

function readImport(path: string): { contents: string } | { error: string } {
  try {
    return { contents: readFileSync(path, 'utf8') };
  } catch (error) {
    return { error: String(error) };
  }
}

if (process.argv[1] === import.meta.filename) {
  useNodeSha256();
  const [path] = process.argv.slice(2);
  if (path === undefined) {
    process.stderr.write('USAGE: node contracts/compile.ts FILE.sol\n');
    process.exit(2);
  }
  const source = readFileSync(path, 'utf8');
  const contracts = [...compileSolidity(source, resolve(path)).values()].map(
    ({ name, creation, runtime }) => ({
      name,
      runtimeBytes: (runtime.length - 2) / 2,
      runtimeSha256: toHex(sha256(fromHex(runtime))),
      creation,
    }),
  );
  const report = { compiler: COMPILER, sourceSha256: toHex(sha256(utf8(source))), contracts };
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
}
