/** The process in which snarkjs works at a ceremony: it ends with it. Started by snarkjs.ts, which sends one request. */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { powersOfTau, zKey } from 'snarkjs';

export type SnarkjsRequest =
  | { readonly type: 'check-phase-one'; readonly phaseOne: string }
  | { readonly type: 'new'; readonly r1cs: string; readonly phaseOne: string; readonly to: string }
  | {
      readonly type: 'contribute';
      readonly from: string;
      readonly to: string;
      readonly name: string;
      /** A file whose bytes are mixed into the randomness. */
      readonly entropy: string | null;
    }
  | {
      readonly type: 'beacon';
      readonly from: string;
      readonly to: string;
      readonly name: string;
      /** Hex without 0x. */
      readonly value: string;
      readonly iterationsExp: number;
    }
  | { readonly type: 'check'; readonly r1cs: string; readonly phaseOne: string; readonly zkey: string };

export type SnarkjsReply =
  | { readonly type: 'progress'; readonly text: string }
  | { readonly type: 'done'; readonly ok: boolean; readonly errors: readonly string[] };

// The parent closed the channel or died: nobody wants the result.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
// Ctrl-C reaches the whole process group; the parent decides when this one ends.
process.on('SIGINT', () => {});

// Its published type has another function's parameters.
const verifyPhaseOne = powersOfTau.verify as unknown as (path: string, log: unknown) => Promise<boolean>;

const errors: string[] = [];
const fail = (text: unknown) => void errors.push(String(text));
const progress = (text: unknown) => {
  process.send!({ type: 'progress', text: String(text).replace(/\s+/g, ' ').trim() } satisfies SnarkjsReply);
};
const logger = { debug: progress, info: progress, warn: progress, error: fail };
// Where a contribution is wrong snarkjs says so here and not to its logger.
console.log = fail;

/** 64 bytes of the system's randomness, and what the person brought, as the text that snarkjs wants. It adds its own. */
function entropy(file: string | null): string {
  const hash = createHash('sha512').update(randomBytes(64));
  if (file !== null) hash.update(readFileSync(file));
  return hash.digest('hex');
}

async function work(request: SnarkjsRequest): Promise<boolean> {
  switch (request.type) {
    case 'check-phase-one':
      return (await verifyPhaseOne(request.phaseOne, logger)) === true;
    case 'new':
      return (await zKey.newZKey(request.r1cs, request.phaseOne, request.to, logger)) instanceof Uint8Array;
    case 'contribute': {
      const { from, to, name } = request;
      const hash = await zKey.contribute(from, to, name, entropy(request.entropy), logger);
      return (hash as unknown) instanceof Uint8Array;
    }
    case 'beacon': {
      const { from, to, name, value, iterationsExp } = request;
      const hash = await zKey.beacon(from, to, name, value, iterationsExp, logger);
      return (hash as unknown) instanceof Uint8Array;
    }
    case 'check':
      return (await zKey.verifyFromR1cs(request.r1cs, request.phaseOne, request.zkey, logger)) === true;
  }
}

process.once('message', async (request: SnarkjsRequest) => {
  let ok = false;
  try {
    ok = await work(request);
  } catch (error) {
    fail(error instanceof Error ? error.message : error);
  }
  // snarkjs' threads would keep the process alive.
  process.send!({ type: 'done', ok, errors } satisfies SnarkjsReply, () => process.exit(0));
});
