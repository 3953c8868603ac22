import { type LedgerEntry, MAX_ENTRY_BYTES } from '../ledger/entry.ts';
import { PROOF_BYTES } from '../params/constants.ts';
import type { Genesis } from '../params/genesis.ts';
import { FIELD_ORDER } from '../proofs/fields.ts';
import { packedBytes } from '../protocol/actions.ts';
import { equalBytes, fromHex, type Hex, toHex } from '../protocol/bytes.ts';
import { GrailError } from '../protocol/errors.ts';
import type { Message, MessageOf, MessageType } from '../protocol/messages.ts';
import { PHASES, type Phase } from '../protocol/phases.ts';
import type { NetworkState } from './state.ts';
import type { WindowState } from './window.ts';

/**
 * Which messages a network takes, and why not (docs/PROTOCOL.md, Admission). The verifier asks before it appends, the
 * audit asks of what was appended.
 */

/** Different proofs of one part that a miner may post: a second chance, not a flood. */
const PROOFS_PER_PART = 2;

/** What becomes of a message that a miner sends. */
export type Admission =
  | { readonly kind: 'new'; readonly entry: Omit<LedgerEntry, 'author'> & { author: Hex } }
  | { readonly kind: 'evidence'; readonly entry: Omit<LedgerEntry, 'author'> & { author: Hex } }
  | { readonly kind: 'duplicate'; readonly index: number };

/**
 * Miners that may enrol in one window: a verdict speaks of each of them, and must fit into an entry. A window whose
 * verdict did not fit would never end. A result takes at most 640 bytes besides the two observations of
 * OPENING_OBSERVATION, in hex.
 */
export function maxEnrolled(genesis: Pick<Genesis, 'architecture'>): number {
  return Math.floor((MAX_ENTRY_BYTES - 65_536) / (640 + 4 * genesis.architecture.observation));
}

/**
 * The rules that cost nothing to check: a known key, the right phase, the right size. To be asked before a megabyte is
 * hashed or a signer recovered.
 * @throws GrailError NOT_REGISTERED, PHASE_NOT_OPEN, PHASE_CLOSED, NOT_ENROLLED, COMMIT_SHAPE, COMMIT_MISSING,
 * OPENING_SHAPE, OPENING_MISSING, PROOF_ENCODING
 */
export function precheck(network: NetworkState, message: Message): void {
  if (message.type === 'register') return;
  if (!network.miners.has(message.miner)) throw notRegistered(message.miner);
  const state = inPhase(network, message.window, phaseOf(message.type));
  if (message.type === 'commit') checkCommitSize(network, state, message);
  else if (message.type === 'opening') checkOpeningSize(network, state, message);
  else if (message.type === 'proof') checkProofSize(network, state, message);
}

/** Where a message whose signature was checked goes. */
export function place(network: NetworkState, message: Message, digest: Uint8Array): Admission {
  precheck(network, message);
  const fresh = (window: number, phase: Phase, kind: 'new' | 'evidence' = 'new'): Admission => ({
    kind,
    entry: { window, phase, view: 0, author: message.miner, body: message },
  });
  if (message.type === 'register') {
    const known = network.miners.get(message.miner);
    if (known !== undefined) return { kind: 'duplicate', index: known.entry };
    return fresh(network.enrolWindow, 'enrol');
  }
  const phase = phaseOf(message.type);
  const state = network.windows.get(message.window)!;
  if (message.type === 'proof') return placeProof(state, message, digest) ?? fresh(message.window, phase);

  const posted = state.messages(message.type);
  const before = posted.get(message.miner);
  const again = [before, posted.conflict(message.miner)].find((p) => p && equalBytes(p.digest, digest));
  if (again !== undefined) return { kind: 'duplicate', index: again.index };
  if (message.type === 'enrol') checkEnrol(network, state, message);
  else if (message.type === 'commit') checkCommit(state, message);
  else checkOpening(state, message);
  if (posted.conflict(message.miner) !== undefined) throw equivocation(message, before!.digest, digest);
  return fresh(message.window, phase, before === undefined ? 'new' : 'evidence');
}

/** @throws PHASE_NOT_OPEN or PHASE_CLOSED unless the window is in the phase */
function inPhase(network: NetworkState, window: number, phase: Phase): WindowState {
  const state = network.windows.get(window);
  const now = state?.phase ?? (window < network.enrolWindow ? 'done' : null);
  if (state !== undefined && now === phase) return state;
  const late = now === 'done' || (now !== null && PHASES.indexOf(now) > PHASES.indexOf(phase));
  if (late) {
    throw new GrailError(
      'PHASE_CLOSED',
      `the ${phase} phase of window ${window} is closed: nothing can be posted to it`,
      {
        window,
        expected: phase,
        got: now,
      },
    );
  }
  throw new GrailError(
    'PHASE_NOT_OPEN',
    `the ${phase} phase of window ${window} is not open yet: wait for its entry`,
    {
      window,
      expected: phase,
      got: now,
    },
  );
}

function checkEnrol(network: NetworkState, state: WindowState, message: MessageOf<'enrol'>): void {
  const refusal = network.enrolRefusal(message.miner, message.window);
  if (refusal !== null) throw refusal;
  const { groupSize, maxSlots } = network.genesis;
  if (message.slots % groupSize !== 0 || message.slots > maxSlots) {
    throw new GrailError(
      'SLOTS_INVALID',
      'slots must be a positive multiple of the group size, at most maxSlots',
      {
        expected: `a multiple of ${groupSize}, at most ${maxSlots}`,
        got: message.slots,
      },
    );
  }
  const most = maxEnrolled(network.genesis);
  if (state.enrolments.size >= most && state.enrolments.get(message.miner) === undefined) {
    throw new GrailError('TOO_MANY_REQUESTS', `window ${message.window} is full: enrol in the next`, {
      expected: `at most ${most} miners`,
      window: message.window,
    });
  }
}

function checkCommitSize(network: NetworkState, state: WindowState, message: MessageOf<'commit'>): void {
  const slots = state.slots(message.miner);
  if (slots === 0) {
    throw new GrailError('NOT_ENROLLED', `the miner is not enrolled in window ${message.window}`, {
      miner: message.miner,
      window: message.window,
    });
  }
  const steps = slots * network.genesis.stepsPerSlot;
  const expected = packedBytes(steps, network.genesis.architecture.actions);
  const got = hexBytes(message.actions);
  if (got !== expected) {
    throw new GrailError('COMMIT_SHAPE', `the commitment must hold the actions of all ${steps} steps`, {
      expected: `${expected} bytes`,
      got: `${got} bytes`,
    });
  }
}

function checkCommit(state: WindowState, message: MessageOf<'commit'>): void {
  const root = toHex(state.open!.policyRoot);
  if (message.policyRoot === root) return;
  throw new GrailError('POLICY_ROOT_MISMATCH', 'the commitment names another policy than the window uses', {
    expected: root,
    got: message.policyRoot,
  });
}

function checkOpeningSize(network: NetworkState, state: WindowState, message: MessageOf<'opening'>): void {
  if (state.commits.countedOf(message.miner) === undefined) {
    throw new GrailError('COMMIT_MISSING', 'there is no commitment of this miner that could be opened', {
      miner: message.miner,
      window: message.window,
    });
  }
  const width = network.genesis.architecture.observation * network.genesis.challengesPerMiner;
  const got = hexBytes(message.observations);
  if (message.traceDigests.length !== network.parts || got !== width) {
    throw new GrailError(
      'OPENING_SHAPE',
      'an opening holds one digest a proof and every challenged observation',
      {
        expected: `${network.parts} digests, ${width} observation bytes`,
        got: `${message.traceDigests.length} digests, ${got} observation bytes`,
      },
    );
  }
}

function checkOpening(state: WindowState, message: MessageOf<'opening'>): void {
  const challenge = toHex(state.challenge!.seed);
  if (message.challengeSeed !== challenge) {
    throw new GrailError('CHALLENGE_MISMATCH', 'the opening answers another challenge than the window’s', {
      expected: challenge,
      got: message.challengeSeed,
    });
  }
  const forbidden = fromHex(message.observations).indexOf(0x80);
  if (forbidden >= 0) {
    throw new GrailError(
      'INT8_RANGE',
      'an opened observation holds −128, which is not a value of the protocol',
      {
        expected: '-127..127',
        got: -128,
        at: forbidden,
      },
    );
  }
  for (const digest of message.traceDigests) {
    if (BigInt(digest) >= FIELD_ORDER) {
      throw new GrailError('OPENING_SHAPE', 'a trace digest is not a canonical field element', {
        got: digest,
      });
    }
  }
}

function checkProofSize(network: NetworkState, state: WindowState, message: MessageOf<'proof'>): void {
  if (state.openings.countedOf(message.miner) === undefined) {
    throw new GrailError('OPENING_MISSING', 'there is no opening of this miner that could be proven', {
      miner: message.miner,
      window: message.window,
    });
  }
  const got = hexBytes(message.proof);
  if (message.part >= network.parts || got !== PROOF_BYTES) {
    throw new GrailError(
      'PROOF_ENCODING',
      `a proof is ${PROOF_BYTES} bytes, for a part below ${network.parts}`,
      {
        expected: `${PROOF_BYTES} bytes, part < ${network.parts}`,
        got: `${got} bytes, part ${message.part}`,
      },
    );
  }
}

function placeProof(state: WindowState, message: MessageOf<'proof'>, digest: Uint8Array): Admission | null {
  const posted = state.proofs.get(message.miner)?.[message.part] ?? [];
  const again = posted.find((p) => equalBytes(p.digest, digest));
  if (again !== undefined) return { kind: 'duplicate', index: again.index };
  if (posted.length >= PROOFS_PER_PART) {
    throw new GrailError('TOO_MANY_REQUESTS', `at most ${PROOFS_PER_PART} proofs of a part are kept`, {
      part: message.part,
    });
  }
  return null;
}

function equivocation(message: Message, first: Uint8Array, second: Uint8Array): GrailError {
  return new GrailError('EQUIVOCATION', 'two different messages of this key in one phase: neither counts', {
    type: message.type,
    expected: toHex(first),
    got: toHex(second),
  });
}

export function notRegistered(miner: Hex): GrailError {
  return new GrailError('NOT_REGISTERED', 'register this key first', { miner });
}

/** The phase in which a message is posted. */
function phaseOf(type: Exclude<MessageType, 'register'>): Phase {
  return type === 'proof' ? 'prove' : type;
}

/** Bytes of a hex string, without making them. */
function hexBytes(hex: Hex): number {
  return hex.length / 2 - 1;
}
