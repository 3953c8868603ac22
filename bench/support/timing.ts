/** The middle one; of an even number the upper of the two. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

const now = () => Number(process.hrtime.bigint()) / 1e9;

/** Steps a second of `pass`, called over and over for `seconds` after a first time that is not counted. */
export function rateOf(pass: () => unknown, batch: number, seconds: number): number {
  pass();
  const began = now();
  let passes = 0;
  let took = 0;
  do {
    pass();
    passes++;
    took = now() - began;
  } while (took < seconds);
  return (passes * batch) / took;
}

/**
 * Steps a second of passes that answer later, `lanes` of them under way at any time: a lane sends its next batch when its
 * last one is back, whatever the others do.
 */
export async function rateInFlight(
  pass: () => Promise<unknown>,
  batch: number,
  lanes: number,
  seconds: number,
): Promise<number> {
  await pass();
  const began = now();
  let passes = 0;
  const lane = async () => {
    do {
      await pass();
      passes++;
    } while (now() - began < seconds);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return (passes * batch) / (now() - began);
}
