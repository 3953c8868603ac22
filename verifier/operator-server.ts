import { GrailError } from '../src/protocol/errors.ts';
import { Answers } from './answers.ts';
import { sendFailure } from './app.ts';
import { tooMany } from './failures.ts';
import { closeServer, createBoundedServer, listen } from './http-server.ts';
import { DEFAULT_LIMITS, type GatewayLimits } from './limits.ts';
import type { Log } from './log.ts';
import { OPERATOR_ROUTES, type OperatorContext } from './operator-routes.ts';
import { peerName, TokenBuckets } from './rates.ts';

export interface OperatorServerOptions extends OperatorContext {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** What differs from DEFAULT_LIMITS. */
  readonly limits?: Partial<GatewayLimits>;
  readonly log: Log;
}

/**
 * Health and metrics of a process that serves nobody else: a sequencer, checker or trainer.
 * @throws GrailError USAGE when the address cannot be had
 */
export async function startOperatorServer(
  options: OperatorServerOptions,
): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const { metrics, health } = options;
  const limits: GatewayLimits = { ...DEFAULT_LIMITS, ...options.limits };
  const { rememberedAddresses } = limits;
  const now = () => performance.now();
  const requests = new TokenBuckets(
    { perSecond: limits.requestsPerSecond, burst: limits.requestsBurst },
    rememberedAddresses,
    now,
  );
  const answerBytes = new TokenBuckets(
    { perSecond: limits.answerBytesPerSecond, burst: limits.answerBytesBurst },
    rememberedAddresses,
    now,
  );
  const answers = new Answers(limits, answerBytes);
  metrics.watchHealth(health);

  const server = createBoundedServer(limits, metrics, async (request, response) => {
    const nameRoute = metrics.http.observe(request, response);
    try {
      const address = peerName(request.socket.remoteAddress);
      const waitMs = requests.take(address);
      if (waitMs > 0) throw tooMany('requestsPerSecond', 'too many requests of this address', waitMs);
      const route = OPERATOR_ROUTES.find(({ path }) => path === request.url);
      if (route === undefined) {
        throw new GrailError('NOT_FOUND', 'this process serves GET /healthz, /readyz and /metrics');
      }
      nameRoute(route.path);
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.setHeader('Allow', 'GET, HEAD');
        throw new GrailError('BAD_REQUEST', 'this path takes GET, HEAD', { expected: 'GET, HEAD' });
      }
      const input = { params: null, query: null, body: null };
      answers.send(address, response, await route.handle({ metrics, health }, input));
    } catch (error) {
      sendFailure(response, error, options);
    }
  });
  const url = await listen(server, options.host, options.port);
  return { url, stop: () => closeServer(server) };
}
