import { parentPort } from 'node:worker_threads';
import '../../rollouts/engine/thread.ts';

/** A thread of the engine whose GPU is taken out soon after it began to play. */
interface Engine {
  readonly registry: { readonly webgpu?: { readonly device: { destroy(): void } } };
}

parentPort!.on('message', ({ type }: { type: string }) => {
  if (type !== 'play') return;
  const { _tfengine } = globalThis as unknown as { _tfengine?: Engine };
  setTimeout(() => _tfengine?.registry.webgpu?.device.destroy(), 200);
});
