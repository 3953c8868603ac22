import type { TemplateEdit } from './circuit.ts';

/** A circuit from which one thing was taken that its soundness needs. */
export interface Weakening {
  readonly title: string;
  readonly edits: readonly TemplateEdit[];
  /** A wire that it frees, or that moves with one. */
  readonly frees: RegExp;
}

const edit = (file: string, from: string, to: string): TemplateEdit => ({ file: `${file}.circom`, from, to });

/** `to <== from` without its constraint. */
const loose = (title: string, frees: RegExp, file: string, assignment: string): Weakening => ({
  title,
  frees,
  edits: [edit(file, assignment, assignment.replace('<==', '<--'))],
});

/** Num2Bits in a template's file without one of its two constraints. */
function looseBits(file: string, use: string, kept: 'booleans' | 'sum'): TemplateEdit[] {
  const template = `template Loose(n) {
    signal input in;
    signal output out[n];
    var lc1 = 0;
    var e2 = 1;
    for (var i = 0; i < n; i++) {
        out[i] <-- (in >> i) & 1;
        ${kept === 'booleans' ? 'out[i] * (out[i] - 1) === 0;' : ''}
        lc1 += out[i] * e2;
        e2 = e2 + e2;
    }
    ${kept === 'sum' ? 'lc1 === in;' : ''}
}
`;
  const pragma = 'pragma circom 2.2.0;\n\ninclude "circomlib/circuits/bitify.circom";\n';
  // spot-check.circom includes more after this: its copy goes where the first of them begins.
  const home = file === 'spot-check' ? 'accumulator' : file;
  return [edit(file, use, use.replace('Num2Bits', 'Loose')), edit(home, pragma, `${pragma}${template}`)];
}

const RANGES = [
  [
    'an accumulator',
    'accumulator',
    'component split = Num2Bits(width);',
    /accumulator\[0\]\[0\]\.(bits|split)/,
  ],
  ['noise', 'spot-check', 'noiseBits[b][i] = Num2Bits(14);', /noise(Bits)?\[0\]\[0\]/],
  ['a lead', 'argmax', 'lead[j - 1] = Num2Bits(bits + 1);', /argmax\[0\]\.lead\[0\]\.out/],
] as const;

export const WEAKENINGS: readonly Weakening[] = [
  ...RANGES.flatMap(([what, file, use, frees]) => [
    { title: `the bits of ${what} need not be bits`, frees, edits: looseBits(file, use, 'sum') },
    { title: `the bits of ${what} need not add up to it`, frees, edits: looseBits(file, use, 'booleans') },
  ]),
  loose(
    'the bits of an accumulator are of any number',
    /accumulator\[0\]\[0\]\.(bits|split)/,
    'accumulator',
    'split.in <== packed;',
  ),
  loose(
    'an accumulator’s packed form is any number',
    /accumulators\[0\]\[0\]/,
    'accumulator',
    'packed <== y + 2 ** (shift - 1) + 2 ** (width - 1);',
  ),
  loose(
    'the bits of noise are of any number',
    /noiseBits\[0\]\[0\]\.out\[0\]/,
    'spot-check',
    'noiseBits[b][i].in <== noise[b][i] + 4096;',
  ),
  {
    title: 'an activation is free where outside is not zero',
    frees: /(requantise\[\d\]\[\d\]\.out|fold\[0\]\.x)/,
    edits: [edit('requantise', 'outside * (out - 127 * bits[width - 1]) === 0;', '')],
  },
  {
    title: 'an activation is free where outside is zero',
    frees: /(requantise\[\d\]\[\d\]\.out|fold\[0\]\.x)/,
    edits: [edit('requantise', 'outside * factor === out - low;', '')],
  },
  loose(
    'a requantisation takes any bits',
    /requantise\[0\]\[\d+\]\.bits/,
    'spot-check',
    'requantise[b][row].bits <== accumulator[b][row].bits;',
  ),
  loose(
    'the trace holds any accumulators',
    /traceDigest\./,
    'spot-check',
    'trace.in[b * rows + row] <== accumulator[b][row].packed;',
  ),
  loose('the trace digest is of any trace', /traceDigest\./, 'spot-check', 'traceDigest.in <== trace.out;'),
  loose(
    'the statement holds any trace digest',
    /digest\.block\[0\]/,
    'spot-check',
    'digest.in[1] <== traceDigest.out;',
  ),
  loose('the statement holds any context', /digest\.block\[0\]/, 'spot-check', 'digest.in[0] <== context;'),
  loose(
    'the statement holds any observation fold',
    /digest\.block\[0\]/,
    'spot-check',
    'digest.in[2 + e] <== observationFolds[e];',
  ),
  loose(
    'the statement holds any packed steps',
    /digest\.block\[0\]/,
    'spot-check',
    'digest.in[2 + equations + e] <== statement.out[e];',
  ),
  loose(
    'the statement holds any noise',
    /digest\.block\[0\]/,
    'spot-check',
    'statement.in[b * stepFields + i] <== noise[b][i] + 4096;',
  ),
  loose(
    'the statement holds any action',
    /digest\.block\[0\]/,
    'spot-check',
    'statement.in[b * stepFields + actions] <== argmax[b].action;',
  ),
  {
    title: 'the statement need not be the verifier’s',
    frees: /context/,
    edits: [edit('spot-check', 'digest.out === statementDigest;', '')],
  },
  {
    title: 'the fold equation need not hold',
    frees: /observationFolds/,
    edits: [edit('spot-check', 'fold[e].out === observationFolds[e];', '')],
  },
  loose(
    'the fold is of any accumulators',
    /fold\[0\]\.y\[0\]\[0\]/,
    'spot-check',
    'fold[e].y[b] <== accumulators[from + b];',
  ),
  loose(
    'the fold is of any activations',
    /fold\[0\]\.x\[0\]\[0\]/,
    'spot-check',
    'fold[e].x[b][j] <== requantise[from + b][j].out;',
  ),
  loose('the fold is of any vectors', /fold\[0\]\.v\[0\]/, 'spot-check', 'fold[e].v <== folds;'),
  loose('the fold is at any rho', /fold\[0\]\.(rho|from)/, 'spot-check', 'fold[e].rho <== rho;'),
  loose(
    'a row’s weight is any number',
    /fold\[0\]\.(from|out)|observationFolds/,
    'fold',
    'from[i] <== folded * rho;',
  ),
  loose(
    'a product of the fold is any number',
    /fold\[0\]\.(part|out)|observationFolds/,
    'fold',
    'part[j] <== v[j] * folded;',
  ),
  loose(
    'a score is any number',
    /argmax\[0\]\.score\[0\]/,
    'spot-check',
    'argmax[b].score[i] <== logit + noise[b][i];',
  ),
  loose(
    'a lead is of any number',
    /argmax\[0\]\.lead\[0\]\.out\[0\]/,
    'argmax',
    'lead[j - 1].in <== score[j] - best[j - 1] - 1 + 2 ** bits;',
  ),
  loose('the first best score is any number', /argmax\[\d\]\.best\[0\]/, 'argmax', 'best[0] <== score[0];'),
  loose('the first index is any number', /argmax\[\d\]\.index\[0\]/, 'argmax', 'index[0] <== 0;'),
  loose(
    'the next best score is any number',
    /argmax\[\d\]\.best\[1\]/,
    'argmax',
    'best[j] <== best[j - 1] + lead[j - 1].out[bits] * (score[j] - best[j - 1]);',
  ),
  loose(
    'the next index is any number',
    /argmax\[\d\]\.index\[1\]/,
    'argmax',
    'index[j] <== index[j - 1] + lead[j - 1].out[bits] * (j - index[j - 1]);',
  ),
  loose(
    'the action is any number',
    /argmax\[0\]\.action/,
    'argmax',
    'action <== index[last] + lead[last].out[bits] * (actions - 1 - index[last]);',
  ),
  loose('a sponge starts anywhere', /igest\.block\[0\]\.ark/, 'sponge', 'block[k].initialState <== domain;'),
];

/** The same for circuits with the fold digest. */
export const DIGEST_WEAKENINGS: readonly Weakening[] = [
  {
    title: 'the folds need not have the verifier’s digest',
    frees: /folds/,
    edits: [edit('spot-check-digest', 'digest.out === foldDigest;', '')],
  },
  loose('the digest is of any folds', /^digest\.block/, 'spot-check-digest', 'digest.in <== folds;'),
  loose(
    'the check takes any folds',
    /check\.folds\[0\]|check\.fold\[0\]\.part/,
    'spot-check-digest',
    'check.folds <== folds;',
  ),
];

/** Of circuits whose sponges take more than one block. */
export const CHAIN_WEAKENING: Weakening = loose(
  'a block starts anywhere',
  /igest\.block\[1\]/,
  'sponge',
  'block[k].initialState <== block[k - 1].out[0];',
);
