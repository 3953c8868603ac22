import { z } from 'zod';

const checksSchema = z.array(z.looseObject({ check: z.string(), ok: z.boolean() }));
const answerSchema = z.union([
  z.looseObject({ ready: z.literal(true), checks: checksSchema }).transform(({ checks }) => checks),
  z
    .looseObject({ error: z.looseObject({ details: z.looseObject({ checks: checksSchema }) }) })
    .transform(({ error }) => error.details.checks),
]);

/** What a gateway says of itself at /readyz: the status, and the checks that fail. */
export async function readiness(url: string): Promise<{ status: number; failing: string[] }> {
  const response = await fetch(new URL('readyz', url), { signal: AbortSignal.timeout(10_000) });
  const checks = answerSchema.parse(await response.json());
  return { status: response.status, failing: checks.flatMap(({ check, ok }) => (ok ? [] : [check])) };
}
