// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.24;

/// @title What a contract calls to check a proof of the GRAIL network (docs/PROTOCOL.md, On chain)
interface IProofVerifier {
    // Verdicts on the proof: they hold whatever the gas limit was.
    /// The proof is not 256 bytes.
    error ProofLength(uint256 length);
    /// A coordinate is not below the field's modulus; `index` counts from 0 in the order of the wire.
    error CoordinateOutOfRange(uint256 index);
    /// All coordinates of a point (0: A, 1: B, 2: C) are zero.
    error PointAtInfinity(uint256 point);
    /// A point is not on its curve, or B is outside the subgroup of order r.
    error PointNotInGroup();
    /// The points are well-formed and do not prove these signals.
    error ProofInvalid();

    // Mistakes of the caller.
    /// The key has another number of signals: it belongs to another circuit.
    error SignalCount(uint256 expected, uint256 got);
    /// A signal is not below r. Its residue would prove the same, so it has no second spelling.
    error SignalOutOfRange(uint256 index);

    // No verdict: the same proof may be valid.
    /// The gas did not suffice, or not to tell this from a point outside its group. Call again with more.
    error NotEnoughGas();
    /// This chain lacks one of the precompiles of EIP-196 and EIP-197.
    error PrecompileMissing(uint256 precompile);

    /// Returns true when the proof proves the statement and reverts otherwise: it never returns false.
    /// @param proof A | B | C, 256 bytes (docs/PROTOCOL.md, Proof encoding). Its bytes identify nothing: anyone can
    ///   make other bytes that prove the same.
    /// @param signals the public signals in the circuit's order. They must be the caller's own, never the prover's.
    function verify(bytes calldata proof, uint256[] calldata signals) external view returns (bool);

    /// How many signals the key has.
    function signalCount() external pure returns (uint256);

    /// SHA-256 of the verification key's canonical JSON: what a genesis pins.
    function verificationKeyHash() external view returns (bytes32);

    /// Whether the key's secrets are public, so that anyone can prove anything.
    function insecureDev() external view returns (bool);
}

/// @title Groth16 over BN254 for one verification key, which the derived contract holds
/// e(A, B) = e(α, β) · e(IC₀ + Σ sᵢ·ICᵢ, γ) · e(C, δ), checked as e(−A, B) · e(α, β) · e(IC₀ + …, γ) · e(C, δ) = 1.
abstract contract ProofVerifier is IProofVerifier {
    /// Coordinates are below it.
    uint256 private constant Q = 21888242871839275222246405745257275088696311157297823662689037894645226208583;
    /// Signals are below it.
    uint256 private constant R = 21888242871839275222246405745257275088548364400416034343698204186575808495617;

    uint256 private constant ADD = 0x06;
    uint256 private constant MUL = 0x07;
    uint256 private constant PAIRING = 0x08;

    /// Twice what a pairing of four pairs costs (EIP-1108: 45,000 + 4 · 34,000), and the 64th that a call leaves behind
    /// (EIP-150). The precompile fails alike for want of gas and for a point outside its group. The second is concluded
    /// only when it had twice the gas that it needs: a valid proof is not refused on a chain that raises the price.
    uint256 private constant AMPLE_GAS = 370_000;

    function verify(bytes calldata proof, uint256[] calldata signals) external view returns (bool) {
        if (proof.length != 256) revert ProofLength(proof.length);
        uint256 count = signalCount();
        if (signals.length != count) revert SignalCount(count, signals.length);
        for (uint256 i = 0; i < count; ++i) {
            if (signals[i] >= R) revert SignalOutOfRange(i);
        }

        // −A, B | α, β | IC₀ + Σ sᵢ·ICᵢ, γ | C, δ: 2 + 4 words each, the imaginary halves first.
        uint256[24] memory pairs;
        _setProof(pairs, proof);
        _setKey(pairs);
        _setPublicPoint(pairs, signals);

        uint256[1] memory product;
        uint256 input;
        uint256 output;
        assembly ("memory-safe") {
            input := pairs
            output := product
        }
        uint256 gasBefore = gasleft();
        if (!_call(PAIRING, input, 768, output, 32)) {
            if (gasBefore < AMPLE_GAS) revert NotEnoughGas();
            revert PointNotInGroup();
        }
        if (product[0] != 1) revert ProofInvalid();
        return true;
    }

    function signalCount() public pure virtual returns (uint256);

    /// Sets α, β (words 6 to 11), γ (14 to 17) and δ (20 to 23).
    function _setKey(uint256[24] memory pairs) internal pure virtual;

    /// Sets IC₀ + Σ sᵢ·ICᵢ (words 12 and 13) with `_addTerm`.
    function _setPublicPoint(uint256[24] memory pairs, uint256[] calldata signals) internal view virtual;

    /// Adds signal · (x, y), a point of the key, to words 12 and 13.
    function _addTerm(uint256[24] memory pairs, uint256 x, uint256 y, uint256 signal) internal view {
        uint256[5] memory words = [pairs[12], pairs[13], x, y, signal];
        uint256 terms;
        uint256 sum;
        assembly ("memory-safe") {
            terms := words
            sum := add(pairs, 384)
        }
        // The points are the key's, hence of the group: these calls fail for want of gas only.
        bool done = _call(MUL, terms + 64, 96, terms + 64, 64) && _call(ADD, terms, 128, sum, 64);
        if (!done) revert NotEnoughGas();
    }

    function _setProof(uint256[24] memory pairs, bytes calldata proof) private pure {
        uint256[8] memory c = abi.decode(proof, (uint256[8]));
        for (uint256 i = 0; i < 8; ++i) {
            if (c[i] >= Q) revert CoordinateOutOfRange(i);
        }
        if ((c[0] | c[1]) == 0) revert PointAtInfinity(0);
        if ((c[2] | c[3] | c[4] | c[5]) == 0) revert PointAtInfinity(1);
        if ((c[6] | c[7]) == 0) revert PointAtInfinity(2);
        (pairs[0], pairs[1]) = (c[0], Q - c[1]);
        (pairs[2], pairs[3], pairs[4], pairs[5]) = (c[2], c[3], c[4], c[5]);
        (pairs[18], pairs[19]) = (c[6], c[7]);
    }

    /// Calls a precompile with memory at these addresses; false when it failed.
    function _call(uint256 precompile, uint256 input, uint256 inputBytes, uint256 output, uint256 outputBytes)
        private
        view
        returns (bool done)
    {
        uint256 returned;
        assembly ("memory-safe") {
            done := staticcall(gas(), precompile, input, inputBytes, output, outputBytes)
            returned := returndatasize()
        }
        // A call to an account without code succeeds and returns nothing.
        if (done && returned != outputBytes) revert PrecompileMissing(precompile);
    }
}
