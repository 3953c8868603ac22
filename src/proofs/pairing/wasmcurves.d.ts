/** BN254's fields, groups and tower, compiled; the package has no types of its own. */
declare module 'wasmcurves/build/bn128_wasm.js' {
  /** The binary in base64. It imports one memory, whose first word is the address of its first free byte. */
  export const code: string;
  /** Address of G1's generator, Jacobian. */
  export const pG1gen: number;
  /** Address of G2's generator, Jacobian. */
  export const pG2gen: number;
}
