import type { Message } from '../../src/protocol/messages.ts';
import type { Phase } from '../../src/protocol/phases.ts';
import type { Followers } from './followers.ts';
import type { Population } from './population.ts';
import { fire, type Shape, type Shot, type Volley } from './volley.ts';

/** A phase that was played to its end. */
export interface PlayedPhase {
  readonly messages: readonly Message[];
  readonly volley: Volley;
  /** From the last acknowledgement until miners hear that the phase is closed. */
  readonly closedMs: number;
}

/** Everything that miners are played with. */
export interface Players {
  readonly url: URL;
  readonly population: Population;
  readonly followers: Followers;
}

/** What everybody sends in a phase, made before it is timed. */
export async function messagesOf(population: Population, phase: Phase, window: number): Promise<Message[]> {
  switch (phase) {
    case 'enrol':
      return population.enrols(window);
    case 'commit':
      return population.commits(window);
    case 'opening':
      return population.openings(window);
    case 'prove':
      return population.proofs(window);
  }
}

/** Sends a phase's messages and waits until it is closed. */
export async function deliver(
  { url, followers }: Players,
  phase: Phase,
  window: number,
  messages: readonly Message[],
  shape: Shape,
): Promise<PlayedPhase> {
  const shots = messages.map((message): Shot => ({ path: '/v1/messages', body: JSON.stringify(message) }));
  const volley = await fire(url, shots, shape);
  const sent = performance.now();
  const closedMs = Math.max(0, (await followers.closed(window, phase)) - sent);
  return { messages, volley, closedMs };
}

/** Makes and sends what everybody owes in a phase, and takes in what the ledger then holds. */
export async function play(
  players: Players,
  phase: Phase,
  window: number,
  shape: Shape,
): Promise<PlayedPhase> {
  const { population, url } = players;
  const messages = await messagesOf(population, phase, window);
  const played = await deliver(players, phase, window, messages, shape);
  await population.catchUp(url);
  return played;
}
