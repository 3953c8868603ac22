import type { Policy } from '../policy/architecture.ts';
import { forward } from '../policy/forward.ts';
import { checkPolicy } from '../policy/quantiser.ts';
import type { Backend, LoadedPolicy } from './backend.ts';

/** Plain integers, no TensorFlow.js: the oracle that every other backend is held against. */
export function referenceBackend(): Backend {
  return {
    name: 'reference',
    answers: 'at once',
    device: 'processor',
    emulated: false,
    load(policy: Policy): LoadedPolicy {
      checkPolicy(policy);
      return {
        policy,
        logits: (observations, batch) => forward(policy, observations, batch),
        dispose() {},
      };
    },
    memoryBytes: () => 0,
    dispose() {},
  };
}
