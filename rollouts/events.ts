import type { Hex } from '../src/protocol/bytes.ts';
import type { Json } from '../src/protocol/canonical.ts';
import { CODES, type Code } from '../src/protocol/codes.ts';
import { describeRejection, type Rejection } from '../src/protocol/errors.ts';
import type { MessageType } from '../src/protocol/messages.ts';
import { adviceFor } from './advice.ts';

/** What a miner reports, in the order in which it happens. With --json each is one line. */
export type MinerEvent =
  | {
      readonly event: 'connected';
      readonly url: string;
      readonly entries: number;
      readonly window: number;
    }
  | {
      readonly event: 'disconnected';
      readonly code: Code;
      readonly message: string;
      readonly retryMs: number;
    }
  | { readonly event: 'registered'; readonly miner: Hex; readonly enrolsFrom: number }
  | { readonly event: 'waiting'; readonly code: Code; readonly message: string; readonly from: number }
  | { readonly event: 'enrolled'; readonly window: number; readonly slots: number }
  | { readonly event: 'phase'; readonly window: number; readonly phase: string }
  | {
      readonly event: 'policy';
      readonly window: number;
      readonly version: number;
      /** Blobs fetched and their bytes: what PULSE cost. */
      readonly blobs: number;
      readonly bytes: number;
      readonly seconds: number;
    }
  | {
      readonly event: 'rollouts';
      readonly window: number;
      readonly slots: number;
      readonly steps: number;
      readonly meanReturn: number | null;
      readonly seconds: number;
      readonly stepsPerSecond: number;
      readonly backend: string;
      readonly memory: {
        /** Bytes of these rollouts. */
        readonly rollouts: number;
        /** Bytes that the backends hold. */
        readonly backends: number;
        /** Bytes that this process has of the machine's memory, its provers' processes aside. */
        readonly resident: number;
      };
    }
  | ({ readonly event: 'playing' } & PlayingProgress)
  | {
      /** A backend failed and another one took over: the rollouts are the same. */
      readonly event: 'fallback';
      readonly from: string;
      readonly to: string;
      readonly code: Code;
      readonly message: string;
    }
  | { readonly event: 'committed' | 'opened'; readonly window: number; readonly index: number }
  | {
      readonly event: 'proved';
      readonly window: number;
      readonly part: number;
      readonly parts: number;
      readonly index: number;
      readonly seconds: number;
    }
  | {
      /** The ledger has a message of this key that this process did not send. */
      readonly event: 'foreign';
      readonly window: number;
      readonly message: MessageType;
      readonly index: number;
    }
  | { readonly event: 'cheating'; readonly window: number; readonly kind: string; readonly what: string }
  | {
      readonly event: 'verdict';
      readonly window: number;
      readonly slots: number;
      readonly credit: number;
      /** The part of the window's emission that this is, from 0 to 1. */
      readonly share: number;
      /** Credited to this key since the network began. */
      readonly total: string;
      readonly trained: boolean;
      readonly insecureDev: boolean;
      /** Entry of the verdict. */
      readonly index: number;
    }
  | {
      readonly event: 'rejected';
      readonly window: number | null;
      /** The verifier refused a message, or its verdict found something false. */
      readonly at: 'gate' | 'verdict';
      /** The message that was refused; null in a verdict. */
      readonly message: string | null;
      readonly code: Code;
      readonly slot?: number;
      readonly step?: number;
      readonly part?: number;
      readonly expected?: Json;
      readonly got?: Json;
      readonly reason: string;
      /** What to do about it. */
      readonly advice: string;
    }
  | {
      readonly event: 'failed';
      readonly step: string;
      readonly code: Code;
      readonly message: string;
      readonly retryMs: number | null;
    }
  | { readonly event: 'finished' }
  | {
      readonly event: 'stopping';
      readonly windows: readonly number[];
      /** What each of these windows waits for. */
      readonly waits: readonly string[];
    }
  | {
      readonly event: 'stopped';
      readonly windows: number;
      readonly verdicts: number;
      readonly rejections: number;
      readonly credit: string;
    };

/** How far the rollouts of a window are. */
export interface PlayingProgress {
  readonly window: number;
  /** Steps of all slots: those that are done, and all of them. */
  readonly done: number;
  readonly total: number;
  /** Null until there is something to measure. */
  readonly stepsPerSecond: number | null;
  readonly etaSeconds: number | null;
}

/** What a miner is in the middle of; heard several times a second, where the events are for the log. */
export type Progress =
  | ({ readonly kind: 'playing' } & PlayingProgress)
  /** The prover began with a part of a window. */
  | { readonly kind: 'proving'; readonly window: number; readonly part: number };

/** A rejection from a verdict, with the sentence for people. */
export function verdictRejection(window: number, rejection: Rejection): MinerEvent {
  return {
    event: 'rejected',
    window,
    at: 'verdict',
    message: null,
    ...rejection,
    reason: describeRejection(rejection),
    advice: adviceFor(rejection.code),
  };
}

/** The event as one line for a terminal. */
export function describeEvent(event: MinerEvent): string {
  const at = 'window' in event && event.window !== null ? `window ${event.window}: ` : '';
  switch (event.event) {
    case 'connected':
      return `connected to ${event.url}: ${event.entries} entries, window ${event.window} is open for enrolment`;
    case 'disconnected':
      return `${event.code}: ${event.message}; trying again in ${seconds(event.retryMs / 1000)}`;
    case 'registered':
      return `registered ${event.miner}: may enrol from window ${event.enrolsFrom}`;
    case 'waiting':
      return `waiting for window ${event.from}: ${event.code}: ${event.message}`;
    case 'enrolled':
      return `${at}enrolled with ${event.slots} slots`;
    case 'phase':
      return `${at}${event.phase}`;
    case 'policy':
      return `${at}policy ${event.version} by PULSE: ${event.blobs} blobs, ${event.bytes} bytes, ${seconds(event.seconds)}`;
    case 'rollouts': {
      const mean =
        event.meanReturn === null ? 'no episode ended' : `mean return ${event.meanReturn.toFixed(1)}`;
      const memory = `${mib(event.memory.resident)} MiB`;
      return `${at}rollouts: ${event.slots} slots of ${event.steps} steps, ${mean}, ${seconds(event.seconds)}, ${memory}`;
    }
    case 'playing': {
      const left = event.etaSeconds === null ? '' : `, ${seconds(event.etaSeconds)} left`;
      return `${at}playing: ${event.done} of ${event.total} steps${left}`;
    }
    case 'foreign':
      return `${at}entry ${event.index} is a message (${event.message}) of this key that this process did not send: use the key in one place only, or it costs the bond`;
    case 'fallback':
      return `${event.code}: ${event.message}; going on with the ${event.to} backend`;
    case 'committed':
      return `${at}committed (entry ${event.index})`;
    case 'opened':
      return `${at}opened (entry ${event.index})`;
    case 'proved':
      return `${at}proved part ${event.part + 1} of ${event.parts} (entry ${event.index}), ${seconds(event.seconds)}`;
    case 'cheating':
      return `${at}cheating: ${event.what}`;
    case 'verdict': {
      const notice = event.insecureDev ? ' (insecure-dev network: worth nothing)' : '';
      return `${at}credited ${event.credit}, ${event.total} so far${notice}`;
    }
    case 'rejected':
      return event.at === 'verdict'
        ? `${at}rejected: ${event.reason} ${event.advice}`
        : `${at}the verifier refused the ${event.message}: ${event.code}: ${event.reason} (${event.advice})`;
    case 'failed': {
      const next = event.retryMs === null ? 'given up' : `trying again in ${seconds(event.retryMs / 1000)}`;
      return `${event.step}: ${event.code}: ${event.message} (${CODES[event.code].fault}); ${next}`;
    }
    case 'finished':
      return 'the run is over: the verifier accepts nothing more (Ctrl-C ends the miner)';
    case 'stopping':
      return event.windows.length === 0
        ? 'stopping'
        : `stopping after window ${event.windows.map((window, i) => `${window} (waits for ${event.waits[i]})`).join(', ')}; once more to stop at once`;
    case 'stopped':
      return `stopped: ${event.windows} windows, ${event.rejections} rejections, ${event.credit} credited in all`;
  }
}

const mib = (bytes: number) => Math.round(bytes / 2 ** 20);
const seconds = (value: number) => `${value.toFixed(2)} s`;
