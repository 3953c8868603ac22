pragma circom 2.2.0;

include "circomlib/circuits/bitify.circom";

// Relation: action is the lowest index whose score is the greatest.
// Ranges:   action in [0, actions): enforced here. |score[i] − score[j]| < 2^bits for the true scores, else no witness
//           exists; scores of either sign, bounded far below the field's order: left to the caller.
//
// hot is one at the action and zero elsewhere. For every j, chosen − score[j] − [j < action] lies in [0, 2^bits).
template ArgmaxUncheckedScores(actions, bits) {
    assert(actions >= 2 && bits <= 32);
    signal input score[actions];
    signal input action;

    signal hot[actions];
    var total = 0;
    var index = 0;
    for (var j = 0; j < actions; j++) {
        hot[j] <-- action == j ? 1 : 0;
        hot[j] * (hot[j] - 1) === 0;
        total += hot[j];
        index += j * hot[j];
    }
    total === 1;
    index === action;

    signal part[actions];
    var chosen = 0;
    for (var j = 0; j < actions; j++) {
        part[j] <== hot[j] * score[j];
        chosen += part[j];
    }

    component margin[actions];
    var below = 1;
    for (var j = 0; j < actions; j++) {
        // [j < action] = 1 − Σ_{k ≤ j} hot[k]
        below -= hot[j];
        margin[j] = Num2Bits(bits);
        margin[j].in <== chosen - score[j] - below;
    }
}
