import { z } from 'zod';
import type { LedgerMirror } from '../../src/ledger/mirror.ts';
import { hash32Schema } from '../../src/params/genesis.ts';
import { NetworkState } from '../../src/replica/state.ts';
import type { RoleContext } from './context.ts';
import { LedgerFollower } from './follower.ts';
import { GatewayView } from './gateway-view.ts';
import { POLICY_SUBJECT } from './subjects.ts';

const hashesSchema = z.array(hash32Schema).max(4);

/**
 * Follows a shared ledger and gives the network as a gateway shows it. Blobs of a new policy are fetched when they are
 * announced, before miners ask for them.
 * @param onFatal hears what ends following
 */
export function startFollowing(
  context: RoleContext,
  mirror: LedgerMirror,
  onFatal: (error: Error) => void,
): GatewayView {
  const { genesis, bus, log, blobs, health, closers } = context;
  const state = new NetworkState(genesis);
  const view = new GatewayView({ state, ledger: mirror.ledger, bus });
  const follower = new LedgerFollower({
    mirror,
    state,
    bus,
    log,
    onEntry: (index) => view.applied(index),
    onFatal,
  });
  health.register('ledger', () => {
    const { trouble } = follower;
    return trouble === null ? { ok: true, detail: 'followed' } : { ok: false, detail: trouble.code };
  });
  view.start(follower);
  follower.start();
  const unsubscribe = bus.subscribe(POLICY_SUBJECT, (bytes) => {
    for (const hash of announced(bytes)) void blobs.get(hash).catch(() => {});
  });
  closers.add(async () => {
    unsubscribe();
    view.stop();
    await follower.stop();
  });
  return view;
}

function announced(bytes: Uint8Array): z.infer<typeof hashesSchema> {
  try {
    return hashesSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return [];
  }
}
