pragma circom 2.2.0;

include "circomlib/circuits/bitify.circom";
include "accumulator.circom";
include "argmax.circom";
include "fold.circom";
include "pack.circom";
include "requantise.circom";
include "sponge.circom";

// Rows of all layers together: the accumulators of a step.
function rowCount(layers, sizes) {
    var rows = 0;
    for (var l = 0; l < layers; l++) { rows += sizes[l + 1]; }
    return rows;
}

// The most bits of an accumulator.
function widest(layers, widths) {
    var width = 0;
    for (var l = 0; l < layers; l++) { if (widths[l] > width) { width = widths[l]; } }
    return width;
}

// The spot check of `steps` policy steps.
//
// Relation: statementDigest is the sponge over [context, traceDigest, observationFolds…, packed statement…]; the packed
//           statement is, for each step, noise[i] + 4096 in 14 bits, then the action in actionBits;
//           traceDigest is the sponge over the packed accumulators, step by step and layer by layer;
//           each run of up to `folded` steps satisfies its fold equation at rho, with its observationFold for what the
//           verifier knows of it: the observations folded through the first layer, and all biases;
//           and for each step
//           - each hidden layer's activations are its requantised accumulators,
//           - the action is the argmax of logit + noise, lowest index on ties.
// Ranges:   noise + 4096 in [0, 2^14), accumulators in their layer's width: enforced here. Actions are outputs of Argmax.
//           context, observationFolds: any field elements; the verifier's own, through statementDigest.
//           statementDigest, rho, folds: the verifier's own. Observations in [-127, 127]: the verifier's, natively.
//
// sizes: `layers` + 1 numbers of values, before layer 0, after it, …. folds: one element for each value that a layer after
// the first takes. folded: the most steps that one equation covers. Widths and counts: src/proofs/widths.ts.
template SpotCheck(
    steps, layers, sizes, shifts, widths, stride, folded, actionBits, compareBits,
    traceDomain, traceElements, statementDomain, statementElements
) {
    var actions = sizes[layers];
    var rows = rowCount(layers, sizes);
    var hidden = rows - actions;
    var stepFields = actions + 1;
    var equations = (steps + folded - 1) \ folded;

    signal input statementDigest;
    signal input rho;
    signal input folds[hidden];
    signal input context;
    signal input observationFolds[equations];
    signal input noise[steps][actions];
    signal input accumulators[steps][rows];

    // Each accumulator is split once: its bits serve the trace, the activations and the logits.
    component accumulator[steps][rows];
    component requantise[steps][hidden];
    var traceWidths[steps * rows];
    for (var b = 0; b < steps; b++) {
        var row = 0;
        for (var l = 0; l < layers; l++) {
            for (var i = 0; i < sizes[l + 1]; i++) {
                accumulator[b][row] = Accumulator(widths[l], shifts[l]);
                accumulator[b][row].y <== accumulators[b][row];
                traceWidths[b * rows + row] = widths[l];
                if (l < layers - 1) {
                    requantise[b][row] = RequantiseUncheckedBits(widths[l], shifts[l]);
                    requantise[b][row].bits <== accumulator[b][row].bits;
                }
                row++;
            }
        }
    }

    component trace = PackUncheckedFields(steps * rows, traceWidths, traceElements);
    for (var b = 0; b < steps; b++) {
        for (var row = 0; row < rows; row++) { trace.in[b * rows + row] <== accumulator[b][row].packed; }
    }
    component traceDigest = Sponge(traceElements, traceDomain);
    traceDigest.in <== trace.out;

    // circom makes no array of components that take no values and differ in steps: without hidden layers each takes a zero.
    var taken = hidden;
    if (hidden == 0) { taken = 1; }
    component fold[equations];
    for (var e = 0; e < equations; e++) {
        var from = e * folded;
        var covered = steps - from;
        if (covered > folded) { covered = folded; }
        fold[e] = FoldUncheckedRanges(covered, taken, rows, widest(layers, widths), stride);
        fold[e].rho <== rho;
        if (hidden > 0) { fold[e].v <== folds; } else { fold[e].v[0] <== 0; }
        for (var b = 0; b < covered; b++) {
            fold[e].y[b] <== accumulators[from + b];
            if (hidden == 0) { fold[e].x[b][0] <== 0; }
            for (var j = 0; j < hidden; j++) { fold[e].x[b][j] <== requantise[from + b][j].out; }
        }
        fold[e].out === observationFolds[e];
    }

    // Actions. A logit is the last layer's accumulator shifted: its bits from `shift` up, less the offset's.
    component noiseBits[steps][actions];
    component argmax[steps];
    var width = widths[layers - 1];
    var shift = shifts[layers - 1];
    for (var b = 0; b < steps; b++) {
        argmax[b] = ArgmaxUncheckedScores(actions, compareBits);
        for (var i = 0; i < actions; i++) {
            noiseBits[b][i] = Num2Bits(14);
            noiseBits[b][i].in <== noise[b][i] + 4096;
            var logit = 0 - 2 ** (width - 1 - shift);
            var place = 1;
            for (var k = shift; k < width; k++) {
                logit += accumulator[b][hidden + i].bits[k] * place;
                place += place;
            }
            argmax[b].score[i] <== logit + noise[b][i];
        }
    }

    var statementWidths[steps * stepFields];
    for (var b = 0; b < steps; b++) {
        for (var i = 0; i < actions; i++) { statementWidths[b * stepFields + i] = 14; }
        statementWidths[b * stepFields + actions] = actionBits;
    }
    component statement = PackUncheckedFields(steps * stepFields, statementWidths, statementElements);
    for (var b = 0; b < steps; b++) {
        for (var i = 0; i < actions; i++) { statement.in[b * stepFields + i] <== noise[b][i] + 4096; }
        statement.in[b * stepFields + actions] <== argmax[b].action;
    }
    component digest = Sponge(2 + equations + statementElements, statementDomain);
    digest.in[0] <== context;
    digest.in[1] <== traceDigest.out;
    for (var e = 0; e < equations; e++) { digest.in[2 + e] <== observationFolds[e]; }
    for (var e = 0; e < statementElements; e++) { digest.in[2 + equations + e] <== statement.out[e]; }
    digest.out === statementDigest;
}
