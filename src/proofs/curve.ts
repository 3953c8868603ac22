import { buildBn128, type Curve } from 'ffjavascript';

let shared: Promise<Curve> | undefined;

/** The process's single-threaded BN254: no workers, so it neither keeps Node alive nor needs terminating. */
export function bn254(): Promise<Curve> {
  shared ??= buildBn128(true);
  return shared;
}
