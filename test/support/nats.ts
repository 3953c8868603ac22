import { type NatsServer, startNats as start } from '../../deploy/servers/nats.ts';

export type { NatsServer } from '../../deploy/servers/nats.ts';

/** @param flags more of the server's own, for example `--user` */
export function startNats(flags: readonly string[] = []): Promise<NatsServer> {
  return start({ flags });
}
