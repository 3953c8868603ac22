import type { UpdateMetrics } from '../training/index.ts';
import type { Column, ColumnType, Table } from './table.ts';

/** Names and types are an interface: docs/guides/researchers.md lists them, and they are only added to. */

function column(name: string, type: ColumnType, doc: string): Column {
  return { name, type, nullable: false, doc };
}

function nullable(name: string, type: ColumnType, doc: string): Column {
  return { name, type, nullable: true, doc };
}

const WINDOW = column('window', 'integer', 'number of the window, from 0');
const MINER = column('miner', 'text', 'address of the miner, lower-case hex');
const SLOT = column('slot', 'integer', 'slot of the miner in this window, from 0');

/** The metrics of an update that the table of windows has, each with its type. */
const METRICS: Readonly<Record<keyof UpdateMetrics, ColumnType>> = {
  outcome: 'text',
  steps: 'integer',
  trainedSteps: 'integer',
  episodes: 'integer',
  meanReturn: 'double',
  meanLength: 'double',
  staleness: 'integer',
  minibatches: 'integer',
  policyLoss: 'double',
  valueLoss: 'double',
  entropy: 'double',
  approxKl: 'double',
  clipFraction: 'double',
  explainedVariance: 'double',
  firstRatioDeviation: 'double',
  stalenessKl: 'double',
  mismatchKl: 'double',
  actorGradientNorm: 'double',
  criticGradientNorm: 'double',
  changedWeights: 'double',
};

export const METRIC_NAMES = Object.keys(METRICS);

export const WINDOWS: Table = {
  name: 'windows',
  doc: 'a window that has its verdict',
  columns: [
    WINDOW,
    column('openEntry', 'integer', 'index of the ledger entry that closed the enrol phase'),
    column('challengeEntry', 'integer', 'index of the entry that closed the commit phase'),
    column('foldEntry', 'integer', 'index of the entry that closed the opening phase'),
    column('verdictEntry', 'integer', 'index of the verdict'),
    column('messages', 'integer', 'entries of miners that were filed in this window'),
    column('policyVersion', 'integer', 'version of the policy that acted'),
    column('policyRoot', 'text', 'its root, hex'),
    column('enrolRoot', 'text', 'root of the counted enrolments, hex'),
    column('commitRoot', 'text', 'root of the counted commitments, hex'),
    column('openingsRoot', 'text', 'root of the counted openings, hex'),
    column('rewardRoot', 'text', 'root of all credits after this window, hex'),
    column('enrolled', 'integer', 'miners that enrolled'),
    column('slots', 'integer', 'slots that they enrolled'),
    column('accepted', 'integer', 'miners that did everything'),
    column('rejected', 'integer', 'miners that broke a rule'),
    column('trained', 'integer', 'miners whose rollouts trained the next policy'),
    column('credits', 'integer', 'credits of all miners, base units'),
    column('patchBytes', 'integer', 'bytes of the patch to the next policy'),
    nullable('anchorBytes', 'integer', 'bytes of the anchor that came with it; none without one'),
    column('fullBytes', 'integer', 'bytes of the whole next policy, uncompressed'),
    ...Object.entries(METRICS).map(([name, type]) =>
      nullable(name, type, 'metric of the update: see [algorithms.md](algorithms.md)'),
    ),
  ],
};

export const REWARDS: Table = {
  name: 'rewards',
  doc: 'what a verdict says of one enrolled miner',
  columns: [
    WINDOW,
    MINER,
    column('slots', 'integer', 'slots that it enrolled'),
    column('credit', 'integer', 'base units; 0 with a rejection'),
    nullable('rejectionCode', 'text', 'code of the first rule that it broke; none when it did everything'),
    nullable('rejectionSlot', 'integer', 'slot at which it was found'),
    nullable('rejectionStep', 'integer', 'step of that slot'),
    nullable('rejectionPart', 'integer', 'part of the proof'),
    nullable('expected', 'text', 'what the rule gives: text as it is, everything else as JSON'),
    nullable('got', 'text', 'what the miner posted, alike'),
    nullable('meanReturn', 'double', 'mean return of the episodes that ended in its slots'),
    column('trained', 'boolean', 'whether its rollouts trained the next policy'),
    column('proofs', 'integer', 'proofs that held, up to the first that did not'),
  ],
};

export const METRIC_ROWS: Table = {
  name: 'metrics',
  doc: 'one metric of one update: the long form, with metrics that the table of windows has no column for',
  columns: [
    WINDOW,
    column('name', 'text', 'name of the metric: see [algorithms.md](algorithms.md)'),
    nullable('value', 'double', 'its value; none where it is not defined or not a number'),
    nullable('text', 'text', 'its value where that is text'),
  ],
};

export const EPISODES: Table = {
  name: 'episodes',
  doc: 'an episode of a slot, replayed from the committed actions',
  columns: [
    WINDOW,
    MINER,
    SLOT,
    column('episode', 'integer', 'number of the episode in its slot, from 0'),
    column('start', 'integer', 'step of the slot at which it began'),
    column('length', 'integer', 'steps that it had in this slot'),
    column('return', 'double', 'sum of its rewards'),
    column('terminated', 'boolean', 'it reached a terminal state'),
    column('truncated', 'boolean', 'the time limit ended it; neither: the slot was over'),
    column('trained', 'boolean', 'whether the miner’s rollouts trained the next policy'),
  ],
};

export const STEPS: Table = {
  name: 'steps',
  doc: 'a step of a slot, replayed from the committed actions',
  columns: [
    WINDOW,
    MINER,
    SLOT,
    column('step', 'integer', 'step of the slot, from 0'),
    column('episode', 'integer', 'number of its episode in the slot, from 0'),
    column('observation', 'int8s', 'what the policy saw, int8; CSV: numbers with a blank between'),
    column('action', 'integer', 'what it did'),
    column('reward', 'float', 'what the step was paid, float32'),
    column('terminated', 'boolean', 'it ended its episode in a terminal state'),
    column('truncated', 'boolean', 'the time limit ended its episode'),
  ],
};

export const POLICIES: Table = {
  name: 'policies',
  doc: 'a published policy',
  columns: [
    column('version', 'integer', 'version, from 0'),
    nullable('window', 'integer', 'window whose rollouts trained it; none for genesis’s'),
    column('policyRoot', 'text', 'its root, hex'),
    column('trainerStateRoot', 'text', 'root of the trainer’s state at it, hex'),
    nullable('patchHash', 'text', 'SHA-256 of the patch that leads to it, hex'),
    nullable('patchBytes', 'integer', 'bytes of that patch'),
    nullable('anchorHash', 'text', 'SHA-256 of its anchor, hex, where it has one'),
    nullable('anchorBytes', 'integer', 'bytes of that anchor; for genesis’s, those of the whole policy'),
  ],
};

/** Every table, in the order in which they are written. */
export const TABLES: readonly Table[] = [WINDOWS, REWARDS, METRIC_ROWS, EPISODES, STEPS, POLICIES];
