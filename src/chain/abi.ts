/** The interface of an exported verifier (contracts/ProofVerifier.sol), as ethers reads it. */
export const PROOF_VERIFIER_ABI = [
  'error ProofLength(uint256 length)',
  'error CoordinateOutOfRange(uint256 index)',
  'error PointAtInfinity(uint256 point)',
  'error PointNotInGroup()',
  'error ProofInvalid()',
  'error SignalCount(uint256 expected, uint256 got)',
  'error SignalOutOfRange(uint256 index)',
  'error NotEnoughGas()',
  'error PrecompileMissing(uint256 precompile)',
  'function verify(bytes proof, uint256[] signals) view returns (bool)',
  'function signalCount() pure returns (uint256)',
  'function verificationKeyHash() view returns (bytes32)',
  'function insecureDev() view returns (bool)',
] as const;
