import type { Result } from './pulse-task.ts';
import type { PulseProgress } from './pulse-work.ts';
import { table } from './text.ts';

/** A number of bytes for people. */
export function size(bytes: number): string {
  if (bytes < 1e3) return `${bytes} B`;
  const power = bytes < 1e6 ? 1 : bytes < 1e9 ? 2 : 3;
  return `${(bytes / 1000 ** power).toFixed(1)} ${['kB', 'MB', 'GB'][power - 1]}`;
}

export function progressLine({ step, tensor, bytes, of }: PulseProgress, seconds: number): string {
  const percent = of === 0 ? 100 : Math.floor((100 * bytes) / of);
  return `${step} ${percent}%  ${size(bytes)} of ${size(of)}, ${size(bytes / seconds)}/s  ${tensor}`;
}

/** What an action did, for people. */
export function resultLines(result: Result, seconds: number): string[] {
  switch (result.action) {
    case 'diff':
    case 'merge':
      return [
        `${result.out}: ${size(result.bytes)} for ${size(result.stateBytes)}, ${times(result.stateBytes, result.bytes)}`,
        ...table([
          ['from', result.baseId],
          ['to', result.targetId],
          ['changed', change(result.changed, result.elements, result.bytes)],
          ...historyRow(result.historySteps),
          ...(result.carriesLayout
            ? [['header', 'the new file’s header differs and travels with the patch']]
            : []),
          took(result.stateBytes, seconds),
        ]),
      ];
    case 'anchor':
      return [
        `${result.out}: ${size(result.bytes)} for ${size(result.stateBytes)}, ${times(result.stateBytes, result.bytes)}`,
        ...table([['id', result.targetId], took(result.stateBytes, seconds)]),
      ];
    case 'apply':
    case 'verify':
      return [
        result.action === 'apply'
          ? `${result.out}: ${size(result.stateBytes)}`
          : `the ${result.kind} holds${result.compared ? ', and leads to exactly the state that was given' : ''}`,
        ...table([
          ['from', result.baseId ?? 'nothing: an anchor'],
          ['to', result.targetId],
          ...(result.changed === null ? [] : [['changed', `${result.changed} elements`]]),
          ...historyRow(result.historySteps),
          took(result.stateBytes, seconds),
        ]),
      ];
    case 'inspect':
      return table([
        ['kind', `${result.overwrite ? 'overwriting ' : ''}${result.kind}, ${size(result.bytes)}`],
        ['from', result.baseId ?? 'nothing'],
        ['to', result.targetId],
        ['history', result.history === null ? 'needs none' : needs(result.history.steps)],
        ['tensors', `${result.tensors.length}, ${result.elements} elements, ${size(result.stateBytes)}`],
        ['header', `${size(result.headerBytes)}; the files’ own: ${size(result.layoutBytes)}`],
      ]);
    case 'id':
      return [result.id];
  }
}

function times(whole: number, part: number): string {
  return `${(whole / part).toFixed(1)} times smaller`;
}

function change(changed: number, elements: number, bytes: number): string {
  if (changed === 0) return 'nothing';
  const share = ((100 * changed) / elements).toFixed(3);
  return `${changed} of ${elements} elements (${share}%), ${((8 * bytes) / changed).toFixed(2)} bits each`;
}

function historyRow(steps: number | null): string[][] {
  return steps === null ? [] : [['history', `${steps} patch${steps === 1 ? '' : 'es'}`]];
}

function needs(steps: number): string {
  return steps === 0 ? 'begins one' : `needs that of the ${steps} patch${steps === 1 ? '' : 'es'} before it`;
}

function took(bytes: number, seconds: number): string[] {
  return ['took', `${seconds.toFixed(1)} s, ${size(bytes / seconds)}/s`];
}
