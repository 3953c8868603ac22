import { type Comparison, OURS, OURS_FRESH } from './compare.ts';

/** Weights of the model that the paper sends. */
const MODEL = 7.62e9;
/** Seconds of training between syncs at which the paper's curve has 90 % at 20 Gbit/s. */
const TRAINING_S = 50;
const GBITS = [0.05, 0.1, 0.2, 0.5, 1, 5, 20];
const SENT = [OURS, OURS_FRESH, 'PULSEPT1 v3', 'grail v3.1 + zstd-1 (PULSE)'];

/**
 * Seconds to send a sync of a 7.62 G model, by codec and link, and the share of time that the trainer trains when it waits
 * for it: transfer alone, and for our codec also encode, transfer and apply one after another, each on one core.
 */
export function syncTimes({ weights, rows }: Comparison): Record<string, string | number>[] {
  const line = (codec: string, bytes: number, codecSeconds: number) => ({
    codec,
    MB: Math.round(bytes / 1e6),
    ...Object.fromEntries(
      GBITS.map((gbit) => {
        const seconds = (8 * bytes) / (gbit * 1e9) + codecSeconds;
        const share = (100 * TRAINING_S) / (TRAINING_S + seconds);
        return [`${gbit} Gbit/s`, `${seconds.toPrecision(3)} s, ${share.toFixed(1)} %`];
      }),
    ),
  });
  const lines = [line('full bf16', 2 * MODEL, 0)];
  for (const { codec, ratio, encodeMs, applyMs } of rows.filter((row) => SENT.includes(row.codec))) {
    const bytes = (2 * MODEL) / ratio!;
    lines.push(line(codec, bytes, 0));
    if (codec !== OURS) continue;
    lines.push(
      line(`${codec}, encode and apply included`, bytes, ((encodeMs! + applyMs!) * MODEL) / weights / 1000),
    );
  }
  return lines;
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
    'anchor share': Number((anchorBytes / full).toFixed(3)),
    'syncs between anchors': every,
    'with anchors when they pay': Math.round(full / (patch + anchorBytes / every)),
    'with an anchor every ten': Number((full / (patch + anchorBytes / 10)).toFixed(1)),
  };
}
