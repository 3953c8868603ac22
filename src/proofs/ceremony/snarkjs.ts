import { GrailError } from '../../protocol/errors.ts';
import { forkModule } from '../../storage/fork-module.ts';
import type { SnarkjsReply, SnarkjsRequest } from './snarkjs-worker.ts';

export interface CeremonyOptions {
  /** For people: what is being done. */
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

const STDERR_CHARS = 2000;

/**
 * Lets snarkjs do one thing in a process of its own: it can be stopped, its secrets end with it, and it prints nothing.
 * @returns whether it succeeded, and in its own words why not
 * @throws GrailError CHILD_FAILED when the process crashed, STOPPED when `signal` is aborted
 */
export async function snarkjs(
  request: SnarkjsRequest,
  { onProgress, signal }: CeremonyOptions = {},
): Promise<{ readonly ok: boolean; readonly reason: string }> {
  const stopped = () => new GrailError('STOPPED', 'the ceremony was stopped: nothing was added to it');
  if (signal?.aborted) throw stopped();
  const child = forkModule(import.meta.url, 'snarkjs-worker');
  const abort = () => child.kill('SIGKILL');
  signal?.addEventListener('abort', abort, { once: true });
  let stderr = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    if (stderr.length < STDERR_CHARS) stderr += text.slice(0, STDERR_CHARS);
  });
  child.stdout!.resume();
  let done: { ok: boolean; errors: readonly string[] } | undefined;
  child.on('message', (reply: SnarkjsReply) => {
    if (reply.type === 'progress') onProgress?.(reply.text);
    else done = reply;
  });
  // A failed send means that the process ended, which is handled below.
  child.send(request, () => {});
  const ended = await new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(String(error)));
    child.once('close', (code, killedBy) => resolve(killedBy ?? `code ${code}`));
  });
  signal?.removeEventListener('abort', abort);
  if (signal?.aborted) throw stopped();
  if (done === undefined) {
    throw new GrailError(
      'CHILD_FAILED',
      `snarkjs ended with ${ended}: ${stderr.trim() || 'it said nothing'}`,
      {
        ended,
      },
    );
  }
  return { ok: done.ok, reason: done.errors.join('; ') || 'snarkjs does not say why' };
}
