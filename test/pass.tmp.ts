import { loadBackend } from '../src/backends/index.ts';
import { buildMlp } from '../src/policy/quantiser.ts';
import { minatarNetwork } from './support/architectures.ts';
import { CARTPOLE_MLP, randomObservations, randomPolicy } from './support/policies.ts';

const b = await loadBackend('wasm');
const wide = buildMlp({
  observation: 64,
  hidden: [256, 256],
  actions: 16,
  quantiser: { observationBits: 6, activationBits: 5, weightBits: [4, 4, 6], hysteresis: 0.75 },
});
for (const [name, a, n] of [
  ['cartpole', CARTPOLE_MLP, 65536],
  ['wide', wide, 8192],
  ['minatar', minatarNetwork(4), 1024],
] as const) {
  const l = b.load(randomPolicy(a, 1));
  const o = randomObservations(n, a.observation, 2);
  let best = 1e9;
  for (let k = 0; k < 12; k++) {
    const t = performance.now();
    l.logits(o, n);
    best = Math.min(best, performance.now() - t);
  }
  console.log(name, ((best / n) * 1000).toFixed(3), 'µs an observation');
}
