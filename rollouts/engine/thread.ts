/** A thread of the rollout engine: one backend, one window at a time. Started by crew.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import {
  type AnyBackend,
  type DevicePolicy,
  type LoadedPolicy,
  loadBackend,
  selfTest,
} from '../../src/backends/index.ts';
import type { SlotEnds } from '../../src/environments/index.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { useNodeSha256 } from '../../src/storage/node-hash.ts';
import {
  DONE,
  type PlayedSlots,
  type PlayRequest,
  STOP,
  type ThreadData,
  type ThreadReply,
  type ThreadRequest,
} from './messages.ts';
import { digestsOf, playAtOnce, playLater } from './play.ts';

useNodeSha256();
const port = parentPort!;
const { backend: name, architecture } = workerData as ThreadData;
const say = (reply: ThreadReply, moved: ArrayBuffer[] = []) => port.postMessage(reply, moved);

/** A backend, and how it plays with the policy that it has. */
interface Player {
  readonly backend: AnyBackend;
  play(request: PlayRequest): Promise<PlayedSlots>;
}

function player(backend: AnyBackend): Player {
  let loaded: LoadedPolicy | DevicePolicy | null = null;
  return {
    backend,
    async play({ input, policy, first, slots, out, digests, words }) {
      if (policy !== undefined) {
        loaded?.dispose();
        loaded = null;
        loaded = backend.load(policy);
      }
      if (loaded === null) throw new GrailError('INTERNAL', 'the thread was given no policy');
      const onStep = (count: number) => {
        Atomics.add(words, DONE, count);
        if (Atomics.load(words, STOP) === 1) throw new GrailError('STOPPED', 'the rollouts were stopped');
      };
      const range = { first, slots };
      const ends =
        backend.answers === 'at once'
          ? [playAtOnce(input, range, out, loaded as LoadedPolicy, onStep)]
          : await playLater(input, range, out, loaded as DevicePolicy, onStep);
      return { ends, digests: digests ? digestsOf(input, range, out) : null };
    },
  };
}

async function open(): Promise<Player> {
  const backend = await loadBackend(name);
  await selfTest(backend, architecture);
  return player(backend);
}

function failed(error: unknown): void {
  const coded =
    error instanceof GrailError
      ? error
      : new GrailError('INTERNAL', error instanceof Error ? (error.stack ?? error.message) : String(error));
  say({ type: 'failed', error: coded.toJSON() });
}

const opened = open();
opened.then(({ backend }) => {
  const { device, emulated } = backend;
  say({ type: 'ready', device: emulated ? `${device}, emulated: not a GPU` : device });
}, failed);

port.on('message', async (request: ThreadRequest) => {
  if (request.type === 'close') {
    await opened.then(
      ({ backend }) => backend.dispose(),
      () => {},
    );
    port.close();
    return;
  }
  try {
    const { backend, play } = await opened;
    const played = await play(request);
    const moved = played.ends.flatMap(buffersOf);
    say({ type: 'played', ...played, memoryBytes: backend.memoryBytes() }, moved);
  } catch (error) {
    failed(error);
  }
});

/** What may be handed over instead of copied. */
function buffersOf(ends: SlotEnds): ArrayBuffer[] {
  return Object.values(ends).map(({ buffer }) => buffer as ArrayBuffer);
}
