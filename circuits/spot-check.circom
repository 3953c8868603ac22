pragma circom 2.2.0;

include "circomlib/circuits/bitify.circom";
include "accumulator.circom";
include "argmax.circom";
include "fold.circom";
include "pack.circom";
include "powers.circom";
include "requantise.circom";
include "sponge.circom";

// Rows of all layers together.
function rowCount(layers, sizes) {
    var rows = 0;
    for (var l = 0; l < layers; l++) { rows += sizes[l + 1]; }
    return rows;
}

// Fold vector elements: u and c of every layer.
function foldCount(layers, sizes) {
    var count = 0;
    for (var l = 0; l < layers; l++) { count += sizes[l] + 1; }
    return count;
}

// Fold equations of all layers: each covers at most folded[l] steps.
function equationCount(steps, layers, folded) {
    var count = 0;
    for (var l = 0; l < layers; l++) { count += (steps + folded[l] - 1) \ folded[l]; }
    return count;
}

// The most rows of one layer: how many powers of rho are needed.
function longestLayer(layers, sizes) {
    var longest = 0;
    for (var l = 0; l < layers; l++) { if (sizes[l + 1] > longest) { longest = sizes[l + 1]; } }
    return longest;
}

// The spot check of `steps` policy steps.
//
// Relation: statementDigest is the sponge over [context, traceDigest, packed statement]; the packed statement is, for
//           each step, observation[j] + 127 in 8 bits, noise[i] + 4096 in 14 bits, action in actionBits;
//           traceDigest is the sponge over the packed accumulators, step by step and layer by layer;
//           and for each step
//           - every layer's accumulators satisfy their fold equation at rho with the given fold vectors,
//           - each hidden layer's activations are its requantised accumulators,
//           - action is the argmax of logit + noise, lowest index on ties.
// Ranges:   observation + 127 in [0, 2^8), noise + 4096 in [0, 2^14), accumulators in their layer's width, action in
//           [0, actions): enforced here. context: any field element. statementDigest, rho, folds: the verifier's own.
//           That no observation is 128 follows from the statement, which the verifier computes.
//
// sizes: `layers` + 1 numbers of values, before layer 0, after it, …. folds: u then c of each layer.
// folded: the most steps one equation of a layer covers. Widths and counts: src/proofs/widths.ts.
template SpotCheck(
    steps, layers, sizes, shifts, widths, strides, folded, actionBits, compareBits,
    traceDomain, traceElements, statementDomain, statementElements
) {
    var observed = sizes[0];
    var actions = sizes[layers];
    var rows = rowCount(layers, sizes);
    var stepFields = observed + actions + 1;

    signal input statementDigest;
    signal input rho;
    signal input folds[foldCount(layers, sizes)];
    signal input context;
    signal input observation[steps][observed];
    signal input noise[steps][actions];
    signal input action[steps];
    signal input accumulators[steps][rows];

    // Each accumulator is split once: its bits serve the trace, the activations and the logits.
    component accumulator[steps][rows];
    var traceWidths[steps * rows];
    for (var b = 0; b < steps; b++) {
        var row = 0;
        for (var l = 0; l < layers; l++) {
            for (var i = 0; i < sizes[l + 1]; i++) {
                accumulator[b][row] = Accumulator(widths[l], shifts[l]);
                accumulator[b][row].y <== accumulators[b][row];
                traceWidths[b * rows + row] = widths[l];
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

    // Observations and noise.
    component observationBits[steps][observed];
    component noiseBits[steps][actions];
    for (var b = 0; b < steps; b++) {
        for (var j = 0; j < observed; j++) {
            observationBits[b][j] = Num2Bits(8);
            observationBits[b][j].in <== observation[b][j] + 127;
        }
        for (var i = 0; i < actions; i++) {
            noiseBits[b][i] = Num2Bits(14);
            noiseBits[b][i].in <== noise[b][i] + 4096;
        }
    }

    var statementWidths[steps * stepFields];
    for (var b = 0; b < steps; b++) {
        for (var j = 0; j < observed; j++) { statementWidths[b * stepFields + j] = 8; }
        for (var i = 0; i < actions; i++) { statementWidths[b * stepFields + observed + i] = 14; }
        statementWidths[b * stepFields + observed + actions] = actionBits;
    }
    component statement = PackUncheckedFields(steps * stepFields, statementWidths, statementElements);
    for (var b = 0; b < steps; b++) {
        for (var j = 0; j < observed; j++) { statement.in[b * stepFields + j] <== observation[b][j] + 127; }
        for (var i = 0; i < actions; i++) {
            statement.in[b * stepFields + observed + i] <== noise[b][i] + 4096;
        }
        statement.in[b * stepFields + observed + actions] <== action[b];
    }
    component digest = Sponge(2 + statementElements, statementDomain);
    digest.in[0] <== context;
    digest.in[1] <== traceDigest.out;
    for (var e = 0; e < statementElements; e++) { digest.in[2 + e] <== statement.out[e]; }
    digest.out === statementDigest;

    // Layers.
    component powers = Powers(longestLayer(layers, sizes));
    powers.rho <== rho;
    component requantise[steps][rows];
    component fold[equationCount(steps, layers, folded)];
    var equation = 0;
    var firstFold = 0;
    var firstRow = 0;
    for (var l = 0; l < layers; l++) {
        for (var from = 0; from < steps; from += folded[l]) {
            var covered = steps - from;
            if (covered > folded[l]) { covered = folded[l]; }
            fold[equation] = FoldUncheckedRanges(covered, sizes[l], sizes[l + 1], widths[l], strides[l]);
            for (var i = 0; i < sizes[l + 1]; i++) { fold[equation].power[i] <== powers.power[i]; }
            for (var j = 0; j < sizes[l]; j++) { fold[equation].u[j] <== folds[firstFold + j]; }
            fold[equation].c <== folds[firstFold + sizes[l]];
            for (var b = 0; b < covered; b++) {
                for (var j = 0; j < sizes[l]; j++) {
                    if (l == 0) {
                        fold[equation].x[b][j] <== observation[from + b][j];
                    } else {
                        fold[equation].x[b][j] <== requantise[from + b][firstRow - sizes[l] + j].out;
                    }
                }
                for (var i = 0; i < sizes[l + 1]; i++) {
                    fold[equation].y[b][i] <== accumulators[from + b][firstRow + i];
                }
            }
            equation++;
        }
        if (l < layers - 1) {
            for (var b = 0; b < steps; b++) {
                for (var i = 0; i < sizes[l + 1]; i++) {
                    requantise[b][firstRow + i] = RequantiseUncheckedBits(widths[l], shifts[l]);
                    requantise[b][firstRow + i].bits <== accumulator[b][firstRow + i].bits;
                }
            }
        }
        firstFold += sizes[l] + 1;
        firstRow += sizes[l + 1];
    }

    // Actions. A logit is the last layer's accumulator shifted: its bits from `shift` up, less the offset's.
    component argmax[steps];
    var width = widths[layers - 1];
    var shift = shifts[layers - 1];
    for (var b = 0; b < steps; b++) {
        argmax[b] = ArgmaxUncheckedScores(actions, compareBits);
        for (var i = 0; i < actions; i++) {
            var logit = 0 - 2 ** (width - 1 - shift);
            for (var k = shift; k < width; k++) {
                logit += accumulator[b][rows - actions + i].bits[k] * 2 ** (k - shift);
            }
            argmax[b].score[i] <== logit + noise[b][i];
        }
        argmax[b].action <== action[b];
    }
}
