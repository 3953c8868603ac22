import { type ApplyTask, apply, type VerifyTask, verify } from './pulse-apply.ts';
import { type AnchorTask, anchor, type DiffTask, diff } from './pulse-diff.ts';
import { identify, inspect } from './pulse-inspect.ts';
import { type MergeTask, merge } from './pulse-merge.ts';
import type { Work } from './pulse-work.ts';

/** What `grail pulse ACTION` is asked to do. */
export type Task =
  | ({ readonly action: 'diff' } & DiffTask)
  | ({ readonly action: 'apply' } & ApplyTask)
  | ({ readonly action: 'verify' } & VerifyTask)
  | ({ readonly action: 'merge' } & MergeTask)
  | ({ readonly action: 'anchor' } & AnchorTask)
  | { readonly action: 'inspect'; readonly patch: string }
  | { readonly action: 'id'; readonly state: string };

export type Result = ReturnType<typeof runTask>;

/** Does it, without coming back to the event loop. */
export function runTask(task: Task, work: Work) {
  switch (task.action) {
    case 'diff':
      return { action: task.action, ...diff(task, work) };
    case 'apply':
      return { action: task.action, ...apply(task, work) };
    case 'verify':
      return { action: task.action, ...verify(task, work) };
    case 'merge':
      return { action: task.action, ...merge(task, work) };
    case 'anchor':
      return { action: task.action, ...anchor(task, work) };
    case 'inspect':
      return { action: task.action, ...inspect(task) };
    case 'id':
      return { action: task.action, ...identify(task, work) };
  }
}
