import type { IncomingMessage } from 'node:http';
import { GrailError } from '../src/protocol/errors.ts';

/**
 * Reads a request's body. What is too large is refused as soon as that is known, not when all of it has come.
 * @throws GrailError TOO_LARGE, BAD_REQUEST when it is encoded, STOPPED when the sender hung up
 */
export function readBody(request: IncomingMessage, most: number): Promise<Uint8Array> {
  const { 'content-length': declared, 'content-encoding': encoding = 'identity' } = request.headers;
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const settle = (error: GrailError | null) => {
      request.off('data', take).off('end', end).off('close', gone).off('error', gone);
      // What still comes is read and dropped, until the server's own time limit.
      if (error !== null) request.on('error', () => {}).resume();
      if (error === null) resolve(Buffer.concat(chunks));
      else reject(error);
    };
    const take = (chunk: Buffer) => {
      length += chunk.length;
      if (length > most) settle(tooLarge(most));
      else chunks.push(chunk);
    };
    const end = () => settle(null);
    const gone = () => settle(new GrailError('STOPPED', 'the sender hung up'));
    if (encoding !== 'identity') {
      settle(new GrailError('BAD_REQUEST', 'send the body without Content-Encoding'));
    } else if (declared !== undefined && Number(declared) > most) {
      settle(tooLarge(most));
    } else {
      request.on('data', take).on('end', end).on('close', gone).on('error', gone);
    }
  });
}

function tooLarge(most: number): GrailError {
  return new GrailError('TOO_LARGE', `a body has at most ${most} bytes`, { limit: most });
}
