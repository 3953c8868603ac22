import type { VerifierMetrics } from '../../verifier/metrics/index.ts';

/** The samples of a text in Prometheus's format: values by `name{label="value"}`, labels in the order of the text. */
export function samplesOf(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, series, value] = /^([a-z_:][a-z0-9_:]*(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
    if (series !== undefined) samples.set(series, Number(value));
  }
  return samples;
}

/** What metrics say now. */
export async function samples(metrics: VerifierMetrics): Promise<Map<string, number>> {
  return samplesOf(await metrics.text());
}
