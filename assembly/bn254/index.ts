/**
 * What a Groth16 prover over BN254 spends its time on: transforms over the scalar field and sums of multiples of points. The memory belongs to the
 * caller (src/proofs/groth16/kernel.ts) and may be shared by instances in several threads, each with scratch and work areas of its
 * own. Compiled by `npm run build:kernels` to src/proofs/groth16/binary.ts.
 */
export { addAffine, batchBytes } from './affine';
export { init } from './context';
export { addReduced, inverse, mul, mulAdd, subReduced } from './field';
export {
  fftFromReversed,
  fftToReversed,
  matrixTimesVector,
  powers,
  products,
  quotient,
  scale,
  unpackScalars,
} from './fft';
export { exportNumbers, importNumbers, sumOfMultiples, workBytes } from './msm';
export { addPoints, setInfinity, setLane, toAffine } from './points';
