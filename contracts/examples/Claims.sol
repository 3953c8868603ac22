// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.24;

import {IProofVerifier} from "../ProofVerifier.sol";

/// @title How a contract acts on a refused proof, too, without being misled by whoever chooses the gas
/// A contract that only needs valid proofs calls `verify` and lets it revert.
contract Claims {
    /// The call ended without a verdict: nothing is recorded, and the same proof may be submitted again.
    error NoVerdict(bytes reason);

    enum Outcome {
        None,
        Proven,
        Refused
    }

    IProofVerifier public immutable verifier;
    mapping(bytes32 statement => Outcome) public outcomes;

    constructor(IProofVerifier verifier_) {
        verifier = verifier_;
    }

    function submit(bytes calldata proof, uint256[] calldata signals) external returns (Outcome outcome) {
        // Whatever the limit says, a call gets at most 63/64 of what is left (EIP-150): it may get less than this.
        try verifier.verify{gas: 450_000}(proof, signals) returns (bool) {
            outcome = Outcome.Proven;
        } catch (bytes memory reason) {
            if (!isVerdict(reason)) revert NoVerdict(reason);
            outcome = Outcome.Refused;
        }
        outcomes[keccak256(abi.encode(signals))] = outcome;
    }

    /// Whether the reason of a revert says that the proof is bad. All else, no reason at all among it, says nothing.
    function isVerdict(bytes memory reason) public pure returns (bool) {
        bytes4 selector = bytes4(reason);
        return selector == IProofVerifier.ProofInvalid.selector || selector == IProofVerifier.PointNotInGroup.selector
            || selector == IProofVerifier.PointAtInfinity.selector
            || selector == IProofVerifier.CoordinateOutOfRange.selector
            || selector == IProofVerifier.ProofLength.selector;
    }
}
