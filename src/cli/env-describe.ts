import type { Environment } from '../environments/environment.ts';
import type { AlgorithmParams } from '../params/genesis.ts';
import { type Recipe, recipe } from '../params/recipes.ts';
import { type Architecture, type HiddenLayer, type Layer, weightCount } from '../policy/architecture.ts';
import { GrailError } from '../protocol/errors.ts';
import { beside, columns, pad, wrap } from './text.ts';

const LINE = 100;
const ALGORITHMS: readonly AlgorithmParams['name'][] = ['ppo', 'grpo'];

/** `10×10×4`. */
const dimensions = (shape: readonly number[]) => shape.join('×');

/** `grail env list`, line by line, at most 100 columns wide. */
export function environmentTable(environments: readonly Environment[]): string[] {
  const head = ['environment', 'observation', 'actions', 'limit'] as const;
  const rows = environments.map(({ id, shape, actions, maxEpisodeSteps }) => [
    id,
    dimensions(shape),
    String(actions),
    maxEpisodeSteps === null ? '–' : String(maxEpisodeSteps),
  ]);
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => columns(row[i]!))));
  const line = (cells: readonly string[]) =>
    `${pad(cells[0]!, widths[0]!)}  ${cells
      .slice(1)
      .map((cell, i) => cell.padStart(widths[i + 1]!))
      .join('  ')}  `;
  return [
    `${line(head)}what it is`,
    ...rows.flatMap((row, i) => beside(line(row), environments[i]!.summary, LINE)),
  ];
}

/** A value or channel of the observation, or several alike: `from` and `to` are its indices, both included. */
export interface Observed {
  readonly from: number;
  readonly to: number;
  readonly name: string;
}

/** What each index of an observation's last dimension holds; `name[from..to]` is a run of several. */
export function observedValues(observed: readonly string[]): Observed[] {
  let next = 0;
  return observed.map((text) => {
    const run = /^(.*)\[(\d+)\.\.(\d+)\]$/u.exec(text);
    const value =
      run === null
        ? { from: next, to: next, name: text }
        : { from: Number(run[2]), to: Number(run[3]), name: run[1]!.trim() };
    next = value.to + 1;
    return value;
  });
}

/** How an environment is trained with one algorithm, or why it is not. */
export type RecipeOrReason =
  | { readonly algorithm: string; readonly recipe: Recipe; readonly weights: number }
  | { readonly algorithm: string; readonly recipe: null; readonly reason: string };

/** The recipes of an environment, one an algorithm. */
export function recipesOf(environment: Environment): RecipeOrReason[] {
  return ALGORITHMS.map((algorithm) => {
    try {
      const found = recipe(environment.id, algorithm);
      const weights = found.architecture.layers.reduce((sum, layer) => sum + weightCount(layer), 0);
      return { algorithm, recipe: found, weights };
    } catch (error) {
      if (!(error instanceof GrailError)) throw error;
      return { algorithm, recipe: null, reason: error.message };
    }
  });
}

/** What `grail env list --json` says of an environment. */
export function environmentData(environment: Environment) {
  const { id, summary, source, shape, observation, actionNames, maxEpisodeSteps } = environment;
  return { id, summary, source, shape, observation, actions: actionNames, maxEpisodeSteps };
}

/** `grail env describe --json`. */
export function environmentDescription(environment: Environment) {
  return {
    ...environmentData(environment),
    observed: observedValues(environment.observed),
    recipes: recipesOf(environment),
  };
}

/** `grail env describe`, line by line. */
export function describeEnvironment(environment: Environment): string[] {
  const { id, summary, source, shape, observation, actionNames, maxEpisodeSteps } = environment;
  const observed = observedValues(environment.observed);
  const range = ({ from, to }: Observed) => (from === to ? String(from) : `${from}..${to}`);
  const width = Math.max(...observed.map((value) => range(value).length));
  const grid = shape.length === 3 ? `: ${shape[0]} × ${shape[1]} cells of ${shape[2]} channels` : '';
  const values = `${dimensions(shape)} int8${grid}`;
  return [
    id,
    '',
    ...wrap(summary, LINE),
    '',
    ...field('source', source),
    ...field('observation', shape.length > 1 ? `${values}, ${observation} values` : values),
    ...observed.flatMap((value) => item(range(value).padStart(width), value.name)),
    ...field('actions', String(actionNames.length)),
    ...choices(actionNames),
    ...field(
      'episode',
      maxEpisodeSteps === null ? 'no time limit' : `at most ${maxEpisodeSteps} steps, then it is truncated`,
    ),
    ...recipesOf(environment).flatMap((found) => recipeLines(found)),
  ];
}

const LABEL = 14;
const field = (label: string, text: string) => beside(pad(label, LABEL), text, LINE);
const item = (label: string, text: string) => beside(`${' '.repeat(LABEL)}${label}  `, text, LINE);

const setting = (label: string, text: string) => item(pad(label, 'parameters'.length), text);

/** Actions with their numbers: one a line, or four a line where there are many. */
function choices(names: readonly string[]): string[] {
  const digits = String(names.length - 1).length;
  const cells = names.map((name, i) => `${String(i).padStart(digits)}  ${name}`);
  const perLine = names.length > 8 ? 4 : 1;
  const width = Math.max(...cells.map(columns));
  const lines: string[] = [];
  for (let at = 0; at < cells.length; at += perLine) {
    const row = cells.slice(at, at + perLine).map((cell) => pad(cell, width));
    lines.push(`${' '.repeat(LABEL)}${row.join('   ')}`.trimEnd());
  }
  return lines;
}

function recipeLines(found: RecipeOrReason): string[] {
  const label = `recipe ${found.algorithm}`;
  if (found.recipe === null) return field(label, `none: ${found.reason}`);
  const { architecture, quantiser, algorithm, stepsPerSlot, groupSize, stepsPerProof, ...rest } =
    found.recipe;
  const { name: _name, ...parameters } = algorithm;
  return [
    ...field(label, `${architectureWords(architecture)}; ${found.weights.toLocaleString('en')} weights`),
    ...setting('T', `${stepsPerSlot} steps a slot`),
    ...setting('G', `${groupSize} ${groupSize === 1 ? 'slot' : 'slots'} a group`),
    ...setting(
      'B',
      `${stepsPerProof} ${stepsPerProof === 1 ? 'step' : 'steps'} a proof, ${rest.challengesPerMiner} challenged a miner`,
    ),
    ...setting('parameters', parameterWords(parameters)),
    ...setting('quantiser', parameterWords(quantiser)),
    ...setting('goal', rest.goal === null ? 'none: the benchmark compares' : `mean return ${rest.goal}`),
  ];
}

/** `conv 3×3, 4 → 16; dense 1024 → 128; dense 128 → 3`. */
export function architectureWords({ layers }: Architecture): string {
  return layers.map(layerWords).join('; ');
}

function layerWords(layer: Layer): string {
  if (layer.type === 'dense') return `dense ${layer.in} → ${layer.out}`;
  const { kernel, stride, cin, cout, height, width } = layer;
  const steps = stride === 1 ? '' : ` stride ${stride}`;
  return `conv ${kernel}×${kernel}${steps} over ${height}×${width}, ${cin} → ${cout} channels`;
}

function parameterWords(parameters: object): string {
  return Object.entries(parameters)
    .map(
      ([name, value]) => `${name} ${Array.isArray(value) ? value.map(hiddenWords).join('-') : String(value)}`,
    )
    .join(', ');
}

function hiddenWords(layer: HiddenLayer): string {
  return typeof layer === 'number' ? String(layer) : `conv ${layer.kernel}×${layer.kernel}×${layer.filters}`;
}
