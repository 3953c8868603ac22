pragma circom 2.2.0;

include "spot-check.circom";

// SpotCheck with the fold vectors private and bound by their digest, for verifiers that can afford few public inputs.
//
// Relation: SpotCheck's, and foldDigest = Sponge(folds).
// Ranges:   SpotCheck's. folds are any field elements; the sponge binds them to foldDigest, the verifier's own.
template SpotCheckDigest(
    steps, layers, sizes, shifts, widths, stride, folded, actionBits, compareBits,
    traceDomain, traceElements, statementDomain, statementElements, foldDomain
) {
    var rows = rowCount(layers, sizes);
    var hidden = rows - sizes[layers];
    var equations = (steps + folded - 1) \ folded;

    signal input statementDigest;
    signal input rho;
    signal input foldDigest;
    signal input folds[hidden];
    signal input context;
    signal input observationFolds[equations];
    signal input noise[steps][sizes[layers]];
    signal input accumulators[steps][rows];

    component digest = Sponge(hidden, foldDomain);
    digest.in <== folds;
    digest.out === foldDigest;

    component check = SpotCheck(
        steps, layers, sizes, shifts, widths, stride, folded, actionBits, compareBits,
        traceDomain, traceElements, statementDomain, statementElements
    );
    check.statementDigest <== statementDigest;
    check.rho <== rho;
    check.folds <== folds;
    check.context <== context;
    check.observationFolds <== observationFolds;
    check.noise <== noise;
    check.accumulators <== accumulators;
}
