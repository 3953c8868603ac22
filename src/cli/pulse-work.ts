import { GrailError } from '../protocol/errors.ts';
import { type TensorSource, type TensorSpec, totalBytes, type Watch } from '../pulse/index.ts';

/** How far a pass over a state is. */
export interface PulseProgress {
  /** What is being done. */
  readonly step: string;
  /** The tensor that was finished last. */
  readonly tensor: string;
  readonly bytes: number;
  readonly of: number;
}

/** What a task of `grail pulse` may do besides its work. */
export interface Work {
  /** Throws STOPPED when the person pressed Ctrl-C; asked between pieces of work of about a second at most. */
  readonly stop: () => void;
  readonly tell: (progress: PulseProgress) => void;
}

/** Tells of every tensor. */
export function watch(work: Work, step: string, specs: readonly TensorSpec[]): Watch {
  const of = totalBytes(specs);
  return {
    onTensor(index, bytes) {
      work.stop();
      work.tell({ step, tensor: specs[index]!.name, bytes, of });
    },
  };
}

/** A source whose reads end with Ctrl-C. */
export function stoppable(source: TensorSource, { stop }: Work): TensorSource {
  return {
    specs: source.specs,
    read(index) {
      stop();
      return source.read(index);
    },
  };
}

/** The stop of a flag that two threads share. */
export function stopOf(flag: Int32Array): () => void {
  return () => {
    if (Atomics.load(flag, 0) !== 0) throw new GrailError('STOPPED', 'stopped: nothing was written');
  };
}

/** Something that holds files: closed, it leaves nothing behind that was not committed. */
interface Closable {
  close(): void;
}

/** Has a thing closed at the end, and gives it back. */
export type Keep = <C extends Closable>(thing: C) => C;

/** Runs with things that are closed afterwards, the last one first, however it ends. */
export function closing<T>(run: (keep: Keep) => T): T {
  const open: Closable[] = [];
  try {
    return run((thing) => {
      open.push(thing);
      return thing;
    });
  } finally {
    for (const thing of open.reverse()) thing.close();
  }
}
