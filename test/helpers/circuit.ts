import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FIELD_ORDER, readField } from '../../src/proofs/fields.ts';
import { parseR1cs, type R1cs, type SparseMatrix } from '../../src/proofs/r1cs.ts';
import { WitnessCalculator } from '../../src/proofs/witness-calculator.ts';
import type { WitnessInput } from '../../src/proofs/witness-input.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const CACHE = join(ROOT, '.cache/circuits');

/** `O2` is what keys are made for; `O0` keeps every constraint and signal, so that a violation can be named. */
export type Optimisation = 'O0' | 'O2';

/** A textual change of one template: `from` must stand in the file exactly once. */
export interface TemplateEdit {
  /** A file of circuits/. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** A compiled circuit whose witnesses, false ones too, can be made and judged without Groth16. */
export interface TestCircuit {
  readonly r1cs: R1cs;
  /** Name of each wire: the first signal that it stands for, without `main.`; wire 0 is `one`. */
  readonly names: readonly string[];
  /** Wire of each signal that was not optimised away. */
  readonly wires: ReadonlyMap<string, number>;
  /**
   * The whole witness that the circuit's own code computes from `input`, assertions left out: what a prover gets who
   * claims something false and recomputes everything that depends on it.
   */
  witness(input: WitnessInput): Promise<bigint[]>;
  /** Indices of the constraints that the witness violates. */
  violated(witness: readonly bigint[]): number[];
  /**
   * The components whose constraints are violated, sorted: each is the longest path that a constraint's signals share.
   * A constraint of the main component, or of the spot check in it (`check`), is named by its signals.
   */
  blame(witness: readonly bigint[]): string[];
}

/**
 * Compiles a main file, once per text, and loads it.
 * @param edits compile copies of the templates, changed so: a weaker circuit, or the same constraints with another way to
 *   compute a witness
 */
export async function compileCircuit(
  source: string,
  level: Optimisation,
  edits: readonly TemplateEdit[] = [],
): Promise<TestCircuit> {
  const folder = build(source, level, editedTemplates(edits));
  const r1cs = parseR1cs(readFileSync(join(folder, 'main.r1cs')));
  const wires = signalWires(readFileSync(join(folder, 'main.sym'), 'utf8'));
  const names = new Array<string>(r1cs.wires).fill('one');
  for (const [name, wire] of [...wires].reverse()) names[wire] = name;
  const wasm = withoutAssertions(readFileSync(join(folder, 'main_js/main.wasm')));
  const calculator = await WitnessCalculator.compile(wasm);
  const members = constraintWires(r1cs);
  return {
    r1cs,
    names,
    wires,
    witness: async (input) => wtnsValues(await calculator.calculate(input)),
    violated: (witness) => violatedConstraints(r1cs, witness),
    blame: (witness) => {
      const paths = violatedConstraints(r1cs, witness).map((row) =>
        commonPath(members[row]!.filter((wire) => wire !== 0).map((wire) => names[wire]!)),
      );
      return [...new Set(paths)].sort();
    },
  };
}

/** The templates of circuits/ by file name, after the edits. */
function editedTemplates(edits: readonly TemplateEdit[]): Map<string, string> {
  const templates = new Map<string, string>();
  for (const file of readdirSync(join(ROOT, 'circuits')).sort()) {
    if (file.endsWith('.circom')) templates.set(file, readFileSync(join(ROOT, 'circuits', file), 'utf8'));
  }
  for (const { file, from, to } of edits) {
    const parts = templates.get(file)?.split(from) ?? [];
    if (parts.length !== 2) throw new Error(`${file} does not hold this text once: ${from}`);
    templates.set(file, parts.join(to));
  }
  return templates;
}

function build(source: string, level: Optimisation, templates: ReadonlyMap<string, string>): string {
  const hash = createHash('sha256').update(source).update(level);
  for (const [file, text] of templates) hash.update(file).update(text);
  const folder = join(CACHE, `test-${hash.digest('hex').slice(0, 24)}`);
  if (existsSync(folder)) return folder;
  mkdirSync(CACHE, { recursive: true });
  // Test files run in parallel: each compiles in a folder of its own and moves it into place whole.
  const work = mkdtempSync(join(CACHE, 'work-'));
  writeFileSync(join(work, 'main.circom'), source);
  const library = join(work, 'templates');
  mkdirSync(library);
  for (const [file, text] of templates) writeFileSync(join(library, file), text);
  const flags = [
    `--${level}`,
    '--r1cs',
    '--wasm',
    '--sym',
    '--sanity_check',
    '0',
    '-o',
    relative(ROOT, work),
  ];
  try {
    execFileSync(
      process.execPath,
      [
        'node_modules/circom2/cli.js',
        relative(ROOT, join(work, 'main.circom')),
        ...flags,
        '-l',
        'node_modules',
        '-l',
        relative(ROOT, library),
      ],
      { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] },
    );
  } catch (error) {
    rmSync(work, { recursive: true });
    throw error;
  }
  try {
    renameSync(work, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
    rmSync(work, { recursive: true });
  }
  return folder;
}

/** Lines of a .sym file are `label,wire,component,name`; wire −1 was optimised away. */
function signalWires(text: string): Map<string, number> {
  const wires = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, wire, , name] = line.split(',');
    if (name !== undefined && wire !== '-1') wires.set(name.replace(/^main\./, ''), Number(wire));
  }
  return wires;
}

function constraintWires(r1cs: R1cs): number[][] {
  const sets = Array.from({ length: r1cs.constraints }, () => new Set<number>());
  for (const { rows, wires } of [r1cs.a, r1cs.b, r1cs.c]) {
    for (let k = 0; k < rows.length; k++) sets[rows[k]!]!.add(wires[k]!);
  }
  return sets.map((set) => [...set]);
}

function commonPath(names: readonly string[]): string {
  const paths = names.map((name) => name.split('.').slice(0, -1));
  const shared: string[] = [];
  for (const [depth, part] of (paths[0] ?? []).entries()) {
    if (!paths.every((path) => path[depth] === part)) break;
    shared.push(part);
  }
  const path = shared.join('.');
  return path === '' || path === 'check' ? [...names].sort().join(' = ') : path;
}

/** M·w for one matrix, a row a constraint, in [0, r). */
export function product(matrix: SparseMatrix, constraints: number, witness: readonly bigint[]): bigint[] {
  const out = new Array<bigint>(constraints).fill(0n);
  for (let k = 0; k < matrix.rows.length; k++) {
    out[matrix.rows[k]!]! += matrix.values[k]! * witness[matrix.wires[k]!]!;
  }
  return out.map((value) => value % FIELD_ORDER);
}

function violatedConstraints(r1cs: R1cs, witness: readonly bigint[]): number[] {
  if (witness.length !== r1cs.wires || witness[0] !== 1n) throw new Error('not a witness of this circuit');
  const [a, b, c] = [r1cs.a, r1cs.b, r1cs.c].map((matrix) => product(matrix, r1cs.constraints, witness));
  const rows: number[] = [];
  for (let row = 0; row < r1cs.constraints; row++) {
    if ((a![row]! * b![row]! - c![row]!) % FIELD_ORDER !== 0n) rows.push(row);
  }
  return rows;
}

/**
 * Lets a witness calculator go on where an assertion fails: `call printErrorMessage; i32.const 4; return; end` becomes
 * `…; i32.const 4; drop; end`. circom has no option for it.
 */
function withoutAssertions(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const code = Uint8Array.from(bytes);
  const failed = [0x10, 0x01, 0x41, 0x04, 0x0f, 0x0b];
  let patched = 0;
  for (let at = code.indexOf(0x10); at !== -1; at = code.indexOf(0x10, at + 1)) {
    if (failed.every((byte, i) => code[at + i] === byte)) {
      code[at + 4] = 0x1a;
      patched += 1;
    }
  }
  if (patched === 0) throw new Error('the witness calculator has no assertions of the known form');
  return code;
}

/** The values of a .wtns file (version 2, BN254): header and section headers take 76 bytes. */
function wtnsValues(bytes: Uint8Array): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values: bigint[] = [];
  for (let at = 76; at < bytes.length; at += 32) values.push(readField(view, at));
  return values;
}
