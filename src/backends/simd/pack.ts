import { INT8_MAX } from '../../params/constants.ts';
import {
  fanIn,
  type Layer,
  layerInputs,
  layerOutputs,
  type Policy,
  patchIndices,
  positions,
  weightRows,
} from '../../policy/architecture.ts';
import { GUMBEL_ENTRIES } from '../../policy/gumbel.ts';

/**
 * Lays a policy out for the kernel (assembly/policy.ts): panels of eight outputs, four values a step, and the tables that
 * tell where a row's values lie. Addresses are bytes in the kernel's memory.
 */

/** Outputs of a panel. */
const PANEL = 8;
/** Values of a step. */
const STEP = 4;
const STEP_BYTES = PANEL * STEP;
/** Words of a layer's descriptor. */
const DESCRIPTOR_WORDS = 15;
/** In a list of groups: the panel has an output whose weights span more than seven bits. */
const NOT_SHIFTED = 1;
/** What a kernel's loads may read beyond the last value. */
const OVERREAD = 64;
/** int16 sums of pairs hold products of values up to 127 with weights of at most this in all: 258 · 127 ≤ 32,767. */
const PAIR_BUDGET = Math.floor(32_767 / INT8_MAX);
/** Groups shorter than this on average cost more than widening at every step. */
const SHORTEST_GROUP = 4;
/** Steps below which shifting the first layer's weights costs more than it saves: measured, 2 lose and 4 win. */
const SHORTEST_SHIFTED = 4;
/** Bytes of activations that a chunk of observations may take: what stays in a core's caches. */
const CHUNK_BYTES = 65_536;
/** Rows of a tile: chunks are multiples of it where they can be. */
const TILE = 6;
const MAX_CHUNK = 384;
/** Bytes of a page of WebAssembly memory. */
export const PAGE = 65_536;

/** Where everything of a loaded policy lies. */
export interface Plan {
  /** Observations of one pass. */
  readonly chunk: number;
  /** Whether the first layer's weights are there shifted as well. */
  readonly shifts: boolean;
  /** Address of the observations, `[chunk, observation]` int8. */
  readonly observations: number;
  /** Addresses of the layers' descriptors. */
  readonly layers: readonly number[];
  /** Address of the last layer's sums, `[chunk · positions, stride]` int32, of which `outputs` a row are logits. */
  readonly logits: number;
  readonly positions: number;
  readonly outputs: number;
  readonly stride: number;
  /** Address of the logits without padding, `[chunk, actions]` int32. */
  readonly compact: number;
  /** Address of the slots' seeds, `[chunk, 4]` words. */
  readonly seeds: number;
  /** Address of the Gumbel table, `[65536]` int16. */
  readonly gumbel: number;
  /** Address of the sampled actions, `[chunk]` uint16. */
  readonly actions: number;
  /** 64 KiB pages in all. */
  readonly pages: number;
}

/** Observations of one pass: as many as keep the widest layer within CHUNK_BYTES. */
export function chunkOf(policy: Policy): number {
  const { observation, layers } = policy.architecture;
  const widest = Math.max(observation, ...layers.map((layer) => layerOutputs(layer)));
  const chunk = Math.min(MAX_CHUNK, Math.max(1, Math.floor(CHUNK_BYTES / widest)));
  return chunk < TILE ? chunk : chunk - (chunk % TILE);
}

/** Decides where everything lies. `base` is the first free address of the kernel's memory. */
export function layOut(policy: Policy, base: number): Layout {
  const { observation, actions, layers } = policy.architecture;
  const chunk = chunkOf(policy);
  const rows = chunk + 3;
  let free = base;
  const take = (bytes: number) => {
    const at = free;
    free += Math.ceil(bytes / 16) * 16;
    return at;
  };
  const parts = layers.map((layer, index) => {
    const panels = Math.ceil(weightRows(layer) / PANEL);
    const steps = stepOffsets(layer);
    return {
      layer,
      steps,
      panels,
      descriptor: take(4 * DESCRIPTOR_WORDS),
      stepsAt: take(4 * steps.length),
      rowsAt: take(4 * chunk * positions(layer)),
      weightsAt: take(panels * steps.length * STEP_BYTES),
      biasAt: take(panels * PANEL * 4),
      // A list a panel: at most one entry a step.
      groupsAt: take(4 * panels * (1 + steps.length)),
      // The first layer's values alone may be negative.
      shifted:
        index > 0 || steps.length < SHORTEST_SHIFTED
          ? null
          : {
              weightsAt: take(panels * steps.length * STEP_BYTES),
              leastAt: take(panels * PANEL * 4),
              groupsAt: take(4 * panels * (1 + steps.length)),
              onesAt: take(steps.length * STEP),
              totalsAt: take(4 * chunk * positions(layer)),
            },
    };
  });
  const widest = Math.max(...layers.slice(0, -1).map(layerOutputs), 0);
  const last = layers.length - 1;
  const outputs = weightRows(layers[last]!);
  const places = positions(layers[last]!);
  const stride = Math.ceil(outputs / PANEL) * PANEL;
  const observations = take(chunk * observation + OVERREAD);
  // Layers read one of these and write the other.
  const activations = [take(chunk * widest + OVERREAD), take(chunk * widest + OVERREAD)] as const;
  const logits = take(rows * places * stride * 4);
  const compact = take(rows * actions * 4);
  const seeds = take(rows * 16);
  const out = take(rows * 2);
  const gumbel = take(2 * GUMBEL_ENTRIES);
  return {
    plan: {
      chunk,
      shifts: parts[0]?.shifted != null,
      observations,
      layers: parts.map(({ descriptor }) => descriptor),
      logits,
      positions: places,
      outputs,
      stride,
      compact,
      seeds,
      gumbel,
      actions: out,
      pages: Math.ceil((free + OVERREAD) / PAGE),
    },
    sections: parts.map((part, index) => ({
      ...part,
      from: index === 0 ? observations : activations[(index - 1) % 2]!,
      to: index === last ? logits : activations[index % 2]!,
    })),
  };
}

/** A plan, and each layer's addresses. */
export interface Layout {
  readonly plan: Plan;
  readonly sections: readonly Section[];
}

interface Section {
  readonly layer: Layer;
  readonly steps: Uint32Array;
  readonly panels: number;
  readonly descriptor: number;
  readonly stepsAt: number;
  readonly rowsAt: number;
  readonly weightsAt: number;
  readonly biasAt: number;
  readonly groupsAt: number;
  /** Of a first layer that is long enough: its weights without their least, those, their groups, which places count, and sums of values. */
  readonly shifted: {
    readonly weightsAt: number;
    readonly leastAt: number;
    readonly groupsAt: number;
    readonly onesAt: number;
    readonly totalsAt: number;
  } | null;
  /** Addresses of what it reads and writes. */
  readonly from: number;
  readonly to: number;
}

/** Writes a policy's tensors and tables. */
export function pack(policy: Policy, { plan, sections }: Layout, memory: ArrayBuffer): void {
  const words = new Uint32Array(memory);
  const integers = new Int32Array(memory);
  const bytes = new Int8Array(memory);
  for (const [index, section] of sections.entries()) {
    const { layer, steps, panels, weightsAt } = section;
    const { weight, bias } = policy.layers[index]!;
    const [width, outputs] = [fanIn(layer), weightRows(layer)];
    const places = stepPlaces(layer);
    const panelOf = (panel: number, value: (output: number, place: number) => number) => {
      const values = new Int8Array(steps.length * STEP_BYTES);
      for (let output = 0; output < Math.min(PANEL, outputs - panel * PANEL); output++) {
        for (let place = 0; place < width; place++) {
          const at = places[place]!;
          const to = Math.floor(at / STEP) * STEP_BYTES + output * STEP + (at % STEP);
          values[to] = value(panel * PANEL + output, place);
        }
      }
      return values;
    };
    const groups = groupLists(words, section.groupsAt, panels, steps.length);
    for (let panel = 0; panel < panels; panel++) {
      const values = panelOf(panel, (output, place) => weight[output * width + place]!);
      bytes.set(values, weightsAt + panel * values.length);
      groups(panel, values);
    }
    const { shifted } = section;
    if (shifted !== null) {
      const shiftedGroups = groupLists(words, shifted.groupsAt, panels, steps.length);
      const ranges = Array.from({ length: outputs }, (_, output) => rangeOf(weight, output * width, width));
      for (const [output, { least }] of ranges.entries()) integers[shifted.leastAt / 4 + output] = least;
      for (let panel = 0; panel < panels; panel++) {
        const inPanel = ranges.slice(panel * PANEL, (panel + 1) * PANEL);
        if (inPanel.some(({ least, most }) => most - least > INT8_MAX)) {
          words[shifted.groupsAt / 4 + panel] = NOT_SHIFTED;
          continue;
        }
        const values = panelOf(
          panel,
          (output, place) => weight[output * width + place]! - ranges[output]!.least,
        );
        bytes.set(values, shifted.weightsAt + panel * values.length);
        shiftedGroups(panel, values);
      }
      for (const place of places) bytes[shifted.onesAt + place] = 1;
    }
    const half = 1 << (layer.shift - 1);
    for (let output = 0; output < panels * PANEL; output++) {
      integers[section.biasAt / 4 + output] = output < outputs ? bias[output]! + half : 0;
    }
    words.set(steps, section.stepsAt / 4);
    const starts = patchStarts(layer);
    for (let row = 0, at = section.rowsAt / 4; row < plan.chunk; row++) {
      const from = section.from + row * layerInputs(layer);
      for (const start of starts) words[at++] = from + start;
    }
    words.set(
      [
        section.rowsAt,
        section.stepsAt,
        steps.length,
        outputs,
        weightsAt,
        section.biasAt,
        layer.shift,
        section.groupsAt,
        section.to,
        starts.length,
        shifted?.weightsAt ?? 0,
        shifted?.leastAt ?? 0,
        shifted?.groupsAt ?? 0,
        shifted?.onesAt ?? 0,
        shifted?.totalsAt ?? 0,
      ],
      section.descriptor / 4,
    );
  }
}

/** Writes the lists of groups of a layer's panels: a word a panel, 0 or the address of its list, then the lists. */
function groupLists(words: Uint32Array, at: number, panels: number, steps: number) {
  let list = at / 4 + panels;
  return (panel: number, values: Int8Array): void => {
    const ends = groupEnds(values);
    const worthIt = ends.length * SHORTEST_GROUP <= steps || ends.length === 1;
    words[at / 4 + panel] = worthIt ? list * 4 : 0;
    if (!worthIt) return;
    words.set(ends, list);
    list += ends.length;
  };
}

/** The least and the greatest of some values. */
function rangeOf(values: Int8Array, from: number, count: number): { least: number; most: number } {
  let [least, most] = [INT8_MAX, -INT8_MAX];
  for (let i = from; i < from + count; i++) {
    least = Math.min(least, values[i]!);
    most = Math.max(most, values[i]!);
  }
  return { least, most };
}

/** Where each patch of a layer begins in its input. */
function patchStarts(layer: Layer): number[] {
  const [indices, width] = [patchIndices(layer), fanIn(layer)];
  return Array.from({ length: positions(layer) }, (_, position) => indices[position * width]!);
}

/** Values that lie side by side in a patch: all of a dense layer's, a row of a convolution's kernel. */
function runLength(layer: Layer): number {
  return layer.type === 'dense' ? layer.in : layer.kernel * layer.cin;
}

/** How far behind a patch's beginning each step's four values lie. Runs are rounded up to whole steps. */
function stepOffsets(layer: Layer): Uint32Array {
  const run = runLength(layer);
  const perRun = Math.ceil(run / STEP);
  const runs = fanIn(layer) / run;
  const distance = layer.type === 'dense' ? 0 : layer.width * layer.cin;
  return Uint32Array.from(
    { length: runs * perRun },
    (_, step) => Math.floor(step / perRun) * distance + (step % perRun) * STEP,
  );
}

/** The place among all steps' values, four a step, of each value of a patch. */
function stepPlaces(layer: Layer): Uint32Array {
  const run = runLength(layer);
  const padded = Math.ceil(run / STEP) * STEP;
  return Uint32Array.from({ length: fanIn(layer) }, (_, i) => Math.floor(i / run) * padded + (i % run));
}

/**
 * The steps at which a panel's int16 sums must be widened: the longest groups in which no pair of lanes can exceed int16
 * whatever values of 0 to 127 come. The last is the number of steps.
 */
export function groupEnds(panel: Int8Array): number[] {
  const lanes = STEP_BYTES / 2;
  const totals = new Int32Array(lanes);
  const ends: number[] = [];
  const steps = panel.length / STEP_BYTES;
  for (let step = 0; step < steps; step++) {
    let most = 0;
    for (let lane = 0; lane < lanes; lane++) {
      const at = step * STEP_BYTES + 2 * lane;
      totals[lane]! += Math.abs(panel[at]!) + Math.abs(panel[at + 1]!);
      most = Math.max(most, totals[lane]!);
    }
    if (most <= PAIR_BUDGET) continue;
    ends.push(step);
    for (let lane = 0; lane < lanes; lane++) {
      const at = step * STEP_BYTES + 2 * lane;
      totals[lane] = Math.abs(panel[at]!) + Math.abs(panel[at + 1]!);
    }
  }
  ends.push(steps);
  return ends;
}
