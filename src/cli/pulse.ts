import { z } from 'zod';
import type { Hex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import { defineCommand } from './command.ts';
import { jsonFlag } from './flags.ts';
import type { Task } from './pulse-task.ts';
import { progressLine, resultLines } from './pulse-text.ts';
import { runInThread } from './pulse-thread.ts';

/** What each action takes: how many files, and which flags. */
const ACTIONS = {
  diff: { files: [2, 2], out: true, flags: ['history', 'overwrite'] },
  apply: { files: [1, 2], out: true, flags: ['history', 'target'] },
  verify: { files: [1, 2], out: false, flags: ['history', 'target', 'new'] },
  merge: { files: [2, 1_000], out: true, flags: ['history'] },
  anchor: { files: [1, 1], out: true, flags: ['history'] },
  inspect: { files: [1, 1], out: false, flags: [] },
  id: { files: [1, 1], out: false, flags: [] },
} as const;

type Action = keyof typeof ACTIONS;

const fileFlag = z.string().min(1).optional();
const flagsSchema = z.strictObject({
  out: fileFlag.meta({
    short: 'o',
    description: 'diff, apply, merge, anchor: the file (or folder) to write',
  }),
  history: fileFlag.describe(
    'diff, apply, verify, merge, anchor: the chain’s history, kept by both sides from patch to patch: a tenth smaller; a missing file is a new one',
  ),
  new: fileFlag.describe('verify: the state to which the patch must lead, byte for byte'),
  target: z
    .string()
    .regex(/^0x[0-9a-f]{64}$/, 'an id is 0x and 64 hex digits')
    .optional()
    .describe('apply, verify: the id of the new state that was promised'),
  overwrite: z.boolean().default(false).describe('diff: whole values, no history'),
  json: jsonFlag,
});
type Flags = z.output<typeof flagsSchema>;

export const command = defineCommand({
  name: 'pulse',
  summary: 'Makes and applies lossless sparse patches of safetensors files',
  notes: `
grail pulse diff BASE NEW -o PATCH [--history FILE]    what changed from one checkpoint to the next
grail pulse apply BASE PATCH -o OUT [--history FILE]   the next checkpoint; an ANCHOR needs no BASE
grail pulse verify BASE PATCH [--new NEW]              the same without writing anything
grail pulse merge BASE PATCH… -o PATCH                 one patch, without history, for all (oldest first)
grail pulse anchor NEW -o ANCHOR                       a whole checkpoint, compressed
grail pulse inspect PATCH                              what a patch or an anchor says of itself
grail pulse id STATE                                   the id of a checkpoint, from all of its bytes
A checkpoint is a .safetensors file or a folder of them. docs/guides/pulse.md has an example with PyTorch.`,
  positionals: z.strictObject({
    action: z.enum(Object.keys(ACTIONS) as [Action, ...Action[]]).describe('see below'),
    files: z.array(z.string()).describe('what the action works on'),
  }),
  flags: flagsSchema,
  async run({ positionals: { action, files }, flags, out, err, signal }) {
    const task = taskOf(action, files, flags);
    const started = performance.now();
    let shown = started;
    const result = await runInThread(task, signal, (progress) => {
      const now = performance.now();
      if (now - shown < SHOW_MS) return;
      shown = now;
      err(progressLine(progress, (now - started) / 1000));
    });
    const seconds = (performance.now() - started) / 1000;
    if (flags.json) out(JSON.stringify({ ...result, seconds }));
    else for (const line of resultLines(result, seconds)) out(line);
    return 0;
  },
});

/** A line of progress a second. */
const SHOW_MS = 1000;

function taskOf(action: Action, files: readonly string[], flags: Flags): Task {
  const { files: counts, out: writes, flags: allowed } = ACTIONS[action];
  if (files.length < counts[0] || files.length > counts[1]) {
    throw usage(
      `${action} takes ${counts[0] === counts[1] ? counts[0] : counts.join(' to ')} files, not ${files.length}`,
    );
  }
  const given = (['history', 'new', 'target'] as const).filter((name) => flags[name] !== undefined);
  const names = [...given, ...(flags.overwrite ? (['overwrite'] as const) : [])];
  const wrong = names.find((name) => !(allowed as readonly string[]).includes(name));
  if (wrong !== undefined) throw usage(`${action} takes no --${wrong}`, `--${wrong}`);
  if (writes !== (flags.out !== undefined)) {
    throw usage(writes ? `${action} needs -o FILE` : `${action} takes no --out`, '--out');
  }
  const [first, second] = [files[0]!, files[1]];
  const { out = '', history = null, overwrite } = flags;
  const target = (flags.target ?? null) as Hex | null;
  const decoded = { base: second === undefined ? null : first, patch: second ?? first, history, target };
  switch (action) {
    case 'diff':
      return { action, base: first, target: second!, out, history, overwrite };
    case 'apply':
      return { action, ...decoded, out };
    case 'verify':
      return { action, ...decoded, expected: flags.new ?? null };
    case 'merge':
      return { action, base: first, patches: files.slice(1), out, history };
    case 'anchor':
      return { action, target: first, out, history };
    case 'inspect':
      return { action, patch: first };
    case 'id':
      return { action, state: first };
  }
}

function usage(message: string, flag?: string): GrailError {
  const details = flag === undefined ? {} : { flag };
  return new GrailError('USAGE', `${message} (grail pulse --help shows what there is)`, details);
}
