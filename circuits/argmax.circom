pragma circom 2.2.0;

include "circomlib/circuits/bitify.circom";

// Relation: action is the lowest index whose score is the greatest.
// Ranges:   |score[i] − score[j]| < 2^bits for all i and j: left to the caller. action in [0, actions): follows, and the
//           caller need not constrain it: it is determined by the scores.
//
// Score by score, the best so far meets the next: the next wins if score[j] − best > 0, so that a tie stays with the lower
// index. score[j] − best − 1 + 2^bits lies in [0, 2^(bits+1)), and its top bit says who won.
template ArgmaxUncheckedScores(actions, bits) {
    assert(actions >= 2 && bits <= 32);
    signal input score[actions];
    signal output action;

    signal best[actions - 1];
    signal index[actions - 1];
    component lead[actions - 1];
    best[0] <== score[0];
    index[0] <== 0;
    for (var j = 1; j < actions; j++) {
        lead[j - 1] = Num2Bits(bits + 1);
        lead[j - 1].in <== score[j] - best[j - 1] - 1 + 2 ** bits;
        if (j < actions - 1) {
            best[j] <== best[j - 1] + lead[j - 1].out[bits] * (score[j] - best[j - 1]);
            index[j] <== index[j - 1] + lead[j - 1].out[bits] * (j - index[j - 1]);
        }
    }
    var last = actions - 2;
    action <== index[last] + lead[last].out[bits] * (actions - 1 - index[last]);
}
