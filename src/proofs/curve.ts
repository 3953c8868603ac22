import { buildBn128, type Curve } from 'ffjavascript';

/** q: coordinates of points are below it. */
export const BASE_FIELD = 21888242871839275222246405745257275088696311157297823662689037894645226208583n;

let shared: Promise<Curve> | undefined;

/** The process's single-threaded BN254: no workers, so it neither keeps Node alive nor needs terminating. */
export function bn254(): Promise<Curve> {
  shared ??= buildBn128(true);
  return shared;
}
