import type { GrpoParams } from '../params/genesis.ts';
import { unchangedMetrics } from './metrics.ts';
import type { Algorithm } from './update.ts';

export const grpoUpdate: Algorithm<GrpoParams> = (_tf, _params, _makeActor, input) => ({
  state: input.state,
  policy: input.policy,
  metrics: unchangedMetrics(input, 'no-data'),
});
