/** The process in which circom runs: it ends with it. Started by compile.ts, which sends one CompileRequest. */
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';

export interface CompileRequest {
  /** Folder that holds `file`. */
  readonly source: string;
  readonly file: string;
  /** Folder of this project's templates. */
  readonly circuits: string;
  readonly output: string;
}

interface CircomModule {
  readonly CircomRunner: new (options: {
    args: string[];
    env: Record<string, string>;
    preopens: Record<string, string>;
    bindings: Record<string, unknown>;
  }) => { execute(wasm: Uint8Array): Promise<unknown> };
  readonly bindings: Record<string, unknown>;
}

const require = createRequire(import.meta.url);

process.on('disconnect', () => process.exit(1));
process.once('message', async (request: CompileRequest) => {
  const { CircomRunner, bindings } = require('circom2') as CircomModule;
  // The compiler's file system is made of mounts, so that nothing depends on the working folder or on where the
  // package manager put circomlib; realpath, because it does not follow links out of a mount.
  const circomlib = dirname(fs.realpathSync(require.resolve('circomlib/package.json')));
  const runner = new CircomRunner({
    args: [
      `/source/${request.file}`,
      ...['--r1cs', '--wasm', '--O2', '-l', '/circuits', '-l', '/lib', '-o', '/output'],
    ],
    env: {},
    preopens: {
      '/source': fs.realpathSync(request.source),
      '/circuits': fs.realpathSync(request.circuits),
      '/lib': dirname(circomlib),
      '/output': fs.realpathSync(request.output),
    },
    bindings: {
      ...bindings,
      fs,
      exit: (code: number) => process.exit(code),
      kill: () => process.exit(1),
      // Seeds of hash maps: with fixed ones the compiler's output cannot depend on them.
      randomFillSync: (buffer: Uint8Array, offset: number, size: number) =>
        buffer.fill(0, offset, offset + size),
    },
  });
  try {
    await runner.execute(fs.readFileSync(require.resolve('circom2/circom.wasm')));
    process.exit(0);
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
});
