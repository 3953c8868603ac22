import { environmentById, evaluateLogits } from '../../src/environments/index.ts';
import { utf8 } from '../../src/protocol/bytes.ts';
import { sha256 } from '../../src/protocol/hash.ts';

/** Mean return of uniformly random actions over 1,000 episodes, as text. */
export function randomReturns(task: string): string {
  const environment = environmentById(task);
  const episodes = 1000;
  const logits = new Int32Array(episodes * environment.actions);
  const { meanReturn } = evaluateLogits(
    { environment, seed: sha256(utf8('random policy')), episodes },
    () => logits,
  );
  return meanReturn.toFixed(Math.abs(meanReturn) < 10 ? 3 : 1).replace('-', '−');
}
