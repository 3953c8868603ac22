pragma circom 2.2.0;

include "accumulator.circom";
include "argmax.circom";
include "requantise.circom";

// What the spot check is compared with: one policy step with every product of weight and value a constraint. Weights and biases
// are private inputs which nothing binds, and neither noise nor the step is hashed into a statement: a circuit that proves as
// much as the spot check is larger.
//
// Relation: action is the argmax of logits + noise, the network computed by multiplication.
// A layer is a convolution with valid padding; a dense one has kernel, height and width 1.
template MatmulStep(layers, heights, widths, channels, kernels, strides, outs, shifts, bits, compareBits) {
    var most = 0;
    var weights = 0;
    var biases = 0;
    var rows = 0;
    for (var l = 0; l < layers; l++) {
        var positions = ((heights[l] - kernels[l]) \ strides[l] + 1) * ((widths[l] - kernels[l]) \ strides[l] + 1);
        weights += kernels[l] * kernels[l] * channels[l] * outs[l];
        biases += outs[l];
        rows += positions * outs[l];
        most += positions * kernels[l] * kernels[l] * channels[l] * outs[l];
    }
    var actions = outs[layers - 1];
    signal input observation[heights[0] * widths[0] * channels[0]];
    signal input weight[weights];
    signal input bias[biases];
    signal input noise[actions];
    signal output action;

    signal product[most];
    component accumulator[rows];
    component requantise[rows];
    component argmax = ArgmaxUncheckedScores(actions, compareBits);
    var nextProduct = 0;
    var firstWeight = 0;
    var firstBias = 0;
    var firstRow = 0;
    var before = 0;
    for (var l = 0; l < layers; l++) {
        var across = (widths[l] - kernels[l]) \ strides[l] + 1;
        var positions = ((heights[l] - kernels[l]) \ strides[l] + 1) * across;
        for (var p = 0; p < positions; p++) {
            for (var i = 0; i < outs[l]; i++) {
                var sum = bias[firstBias + i];
                var w = firstWeight + i * kernels[l] * kernels[l] * channels[l];
                for (var dy = 0; dy < kernels[l]; dy++) {
                    for (var dx = 0; dx < kernels[l]; dx++) {
                        for (var c = 0; c < channels[l]; c++) {
                            var row = (p \ across) * strides[l] + dy;
                            var column = (p % across) * strides[l] + dx;
                            var j = (row * widths[l] + column) * channels[l] + c;
                            if (l == 0) {
                                product[nextProduct] <== weight[w] * observation[j];
                            } else {
                                product[nextProduct] <== weight[w] * requantise[before + j].out;
                            }
                            sum += product[nextProduct];
                            nextProduct++;
                            w++;
                        }
                    }
                }
                var at = firstRow + p * outs[l] + i;
                accumulator[at] = Accumulator(bits[l], shifts[l]);
                accumulator[at].y <== sum;
                if (l < layers - 1) {
                    requantise[at] = RequantiseUncheckedBits(bits[l], shifts[l]);
                    requantise[at].bits <== accumulator[at].bits;
                } else {
                    var logit = 0 - 2 ** (bits[l] - 1 - shifts[l]);
                    for (var k = shifts[l]; k < bits[l]; k++) {
                        logit += accumulator[at].bits[k] * 2 ** (k - shifts[l]);
                    }
                    argmax.score[i] <== logit + noise[i];
                }
            }
        }
        firstWeight += kernels[l] * kernels[l] * channels[l] * outs[l];
        firstBias += outs[l];
        before = firstRow;
        firstRow += positions * outs[l];
    }
    action <== argmax.action;
}
