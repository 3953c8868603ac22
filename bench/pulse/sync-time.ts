import { type Comparison, OURS, OURS_FRESH } from './compare.ts';

/** Weights of the model that the paper sends. */
const MODEL = 7.62e9;
/** Seconds of training between syncs at which the paper's curve has 90 % at 20 Gbit/s. */
const TRAINING_S = 50;
const GBITS = [0.05, 0.1, 0.2, 0.5, 1, 5, 20];

/** Seconds to send a sync of a 7.62 G model, by codec and link; and the share of time that the trainer trains. */
export function syncTimes({ rows }: Comparison): Record<string, string | number>[] {
  const sent = rows.filter(({ codec }) =>
    [OURS, OURS_FRESH, 'PULSEPT1 v3', 'grail v3.1 + zstd-1 (PULSE)'].includes(codec),
  );
  const bytes = [
    { codec: 'full bf16', bytes: 2 * MODEL },
    ...sent.map(({ codec, ratio }) => ({ codec, bytes: (2 * MODEL) / ratio! })),
  ];
  return bytes.map(({ codec, bytes: size }) => ({
    codec,
    MB: Math.round(size / 1e6),
    ...Object.fromEntries(
      GBITS.map((gbit) => {
        const seconds = (8 * size) / (gbit * 1e9);
        const share = (100 * TRAINING_S) / (TRAINING_S + seconds);
        return [`${gbit} Gbit/s`, `${seconds.toPrecision(3)} s, ${share.toFixed(1)} %`];
      }),
    ),
  }));
}

/**
 * What a publisher sends a sync when an anchor follows whenever the patches since the last one have taken its bytes, and when
 * one follows every ten syncs, as grail does.
 */
export function amortised(weights: number, ratio: number, anchorBytes: number): Record<string, number> {
  const full = 2 * weights;
  const patch = full / ratio;
  const every = Math.ceil(anchorBytes / patch);
  return {
    'patch alone': Math.round(ratio),
    'anchors of the full state': Number((full / anchorBytes).toFixed(2)),
    'syncs between anchors': every,
    'with anchors when they pay': Math.round(full / (patch + anchorBytes / every)),
    'with an anchor every ten': Number((full / (patch + anchorBytes / 10)).toFixed(1)),
  };
}
