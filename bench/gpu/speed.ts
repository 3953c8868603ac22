import type { Backend, DeviceBackend } from '../../src/backends/index.ts';
import type { Architecture } from '../../src/policy/index.ts';
import { GrailError } from '../../src/protocol/errors.ts';
import { type Network, observations } from '../support/networks.ts';
import { median, rateInFlight, rateOf } from '../support/timing.ts';

/** Float32 on CUDA, as peer.py answers for it. */
export interface CudaPeer {
  rate(question: {
    readonly architecture: Architecture;
    readonly batch: number;
    readonly seconds: number;
    /** Whether observations are on the device already and logits stay there. */
    readonly resident: boolean;
  }): Promise<number>;
}

export interface SpeedOptions {
  readonly networks: readonly Network[];
  readonly webgpu: DeviceBackend;
  readonly simd: Backend;
  readonly cuda: CudaPeer | null;
  readonly batches: readonly number[];
  /** How many batches the device has at once. */
  readonly inFlight: readonly number[];
  readonly runs: number;
  readonly seconds: number;
  readonly signal: AbortSignal;
  readonly report: (line: string) => void;
}

export interface Speed {
  readonly network: string;
  readonly on: string;
  readonly batch: number;
  readonly emulated: boolean;
  /** Batches under way at once. */
  readonly inFlight: number;
  /** The median of the runs; null where it failed. */
  readonly stepsPerSecond: number | null;
  readonly runs: readonly number[];
  readonly error?: string;
}

interface Contender extends Pick<Speed, 'network' | 'on' | 'batch' | 'emulated' | 'inFlight'> {
  readonly turn: () => Promise<number>;
}

/** Policy steps a second of everything at every batch, in runs in which each takes its turn. */
export async function measureSpeed(options: SpeedOptions): Promise<Speed[]> {
  const { runs, signal, report } = options;
  const contenders = options.networks.flatMap((network) => contendersOf(network, options));
  const rates = contenders.map((): number[] => []);
  const errors = new Map<Contender, string>();
  for (let run = 0; run < runs; run++) {
    for (const [index, contender] of contenders.entries()) {
      signal.throwIfAborted();
      if (errors.has(contender)) continue;
      try {
        rates[index]!.push(await contender.turn());
      } catch (error) {
        const { network, on, batch } = contender;
        const what = error instanceof GrailError ? `${error.code}: ${error.message}` : String(error);
        report(`${network}, ${on}, batch ${batch}: ${what}`);
        errors.set(contender, what);
      }
    }
    report(`speed: run ${run + 1} of ${runs}`);
  }
  return contenders.map(({ turn: _, ...contender }, index) => {
    const error = errors.get(contenders[index]!);
    const stepsPerSecond = error === undefined ? median(rates[index]!) : null;
    return { ...contender, stepsPerSecond, runs: rates[index]!, ...(error !== undefined && { error }) };
  });
}

function contendersOf({ name, policy, binary }: Network, options: SpeedOptions): Contender[] {
  const { webgpu, simd, cuda, batches, seconds } = options;
  const { architecture } = policy;
  const [device, kernel] = [webgpu.load(policy), simd.load(policy)];
  return batches.flatMap((batch): Contender[] => {
    const input = observations(batch * architecture.observation, { binary });
    const at = (on: string, turn: Contender['turn'], emulated = false, inFlight = 1): Contender => ({
      network: name,
      on,
      batch,
      emulated,
      inFlight,
      turn,
    });
    return [
      ...options.inFlight.map((lanes) =>
        at(
          'webgpu',
          () => rateInFlight(() => device.logits(input, batch), batch, lanes, seconds),
          webgpu.emulated,
          lanes,
        ),
      ),
      at('simd', async () => rateOf(() => kernel.logits(input, batch), batch, seconds)),
      ...(cuda === null
        ? []
        : [false, true].map((resident) =>
            at(resident ? 'torch float32, data on the device' : 'torch float32', () =>
              cuda.rate({ architecture, batch, seconds, resident }),
            ),
          )),
    ];
  });
}
