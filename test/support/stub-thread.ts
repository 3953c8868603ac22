import { parentPort } from 'node:worker_threads';
import type { PlayedSlots, ThreadReply, ThreadRequest } from '../../rollouts/engine/messages.ts';

/** A thread of the engine that plays nothing, and does with each window what its number says. */
export const LOSES = 1;
export const NEVER_ANSWERS = 2;
export const PLAYS = 3;

const say = (reply: ThreadReply) => parentPort?.postMessage(reply);

/** A range of slots in which no step was taken. */
const NOTHING: PlayedSlots = {
  ends: [
    {
      bootstrapIndex: new Uint32Array(0),
      bootstrapObservations: new Int8Array(0),
      summaries: new Uint32Array(0),
      returns: new Float64Array(0),
    },
  ],
  digests: [],
};

parentPort?.on('message', (request: ThreadRequest) => {
  if (request.type === 'close') parentPort!.close();
  else if (request.input.window === LOSES) {
    say({ type: 'failed', error: { code: 'BACKEND_LOST', message: 'lost on purpose', details: {} } });
  } else if (request.input.window === PLAYS) say({ type: 'played', memoryBytes: 0, ...NOTHING });
});
say({ type: 'ready', device: 'a stub' });
