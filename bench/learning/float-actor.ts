import { floatForward } from '../../src/training/float-network.ts';
import type { MakeActor } from '../../src/training/index.ts';
import { actorLayout } from '../../src/training/state.ts';

/**
 * The same network in ordinary float32: the latents run as they are, ReLU between layers, no rounding, no clipping. What
 * the exact policy is compared with. Its policy is the trainer state's latents; the published one never changes.
 */
export const floatActor: MakeActor = ({ architecture, quantiser }, base) => {
  const layout = actorLayout(architecture);
  const unit = 1 / (1 << quantiser.observationBits);
  let parameters = new Float32Array(layout.size);
  return {
    layout,
    set: (latents) => {
      parameters = Float32Array.from(latents);
    },
    forward: (tf, observations) => floatForward(tf, layout, parameters, observations, unit),
    clip: () => {},
    published: () => base,
  };
};
