import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GrailError } from '../protocol/errors.ts';
import { forkModule } from '../storage/fork-module.ts';
import { packageRoot } from '../storage/package-root.ts';
import type { CompileRequest } from './compile-worker.ts';

export interface CompileOptions {
  /** Fit for a file name: letters, digits, dashes. */
  readonly name: string;
  /** circom source of the main component; may include circuits/*.circom and circomlib/circuits/*.circom. */
  readonly source: string;
  /** Where the source and the results go; made if missing. */
  readonly directory: string;
  readonly signal?: AbortSignal;
  /** Called with each line that the compiler prints. */
  readonly onProgress?: (line: string) => void;
}

/** Paths of a compiled circuit. */
export interface CompiledCircuit {
  readonly r1cs: string;
  readonly wasm: string;
}

// The compiler colours its output.
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with a control character
const COLOURS = /\u001b\[[0-9;]*m/g;

/**
 * Compiles a circuit with circom's WebAssembly build in a process of its own, with full constraint simplification.
 * About 8 s for 14,000 dense constraints.
 * @throws GrailError CIRCUIT_UNSOUND with the compiler's text when it rejects the source; CHILD_FAILED when it crashes;
 *   STOPPED when `signal` is aborted.
 */
export async function compileCircuit(options: CompileOptions): Promise<CompiledCircuit> {
  const { name, source, directory, signal, onProgress } = options;
  if (!/^[A-Za-z0-9-]{1,100}$/.test(name)) throw new GrailError('USAGE', `not a circuit name: ${name}`);
  const stopped = () => new GrailError('STOPPED', 'compiling the circuit was stopped');
  if (signal?.aborted) throw stopped();
  await mkdir(directory, { recursive: true });
  const file = `${name}.circom`;
  await writeFile(join(directory, file), source);

  const child = forkModule(import.meta.url, 'compile-worker');
  const abort = () => child.kill('SIGKILL');
  signal?.addEventListener('abort', abort, { once: true });
  let output = '';
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      const clean = text.replace(COLOURS, '');
      output += clean;
      for (const line of clean.split('\n')) if (line.trim() !== '') onProgress?.(line.trim());
    });
  }
  const request: CompileRequest = {
    source: directory,
    file,
    circuits: join(packageRoot(), 'circuits'),
    output: directory,
  };
  // A failed send means that the process ended, which is handled below.
  child.send(request, () => {});
  const [code, ended] = await new Promise<[number | null, string]>((resolve) => {
    child.once('error', (error) => resolve([null, String(error)]));
    child.once('close', (exitCode, killedBy) => resolve([exitCode, killedBy ?? `code ${exitCode}`]));
  });
  signal?.removeEventListener('abort', abort);
  if (signal?.aborted) throw stopped();
  if (code === 0) {
    return { r1cs: join(directory, `${name}.r1cs`), wasm: join(directory, `${name}_js`, `${name}.wasm`) };
  }
  const text = output.trim().slice(-4000);
  if (/error\[/.test(text)) {
    throw new GrailError('CIRCUIT_UNSOUND', `circom rejects ${name}: ${text}`, { output: text });
  }
  throw new GrailError('CHILD_FAILED', `circom ended with ${ended}: ${text}`, {
    output: text,
  });
}
