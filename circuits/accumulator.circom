pragma circom 2.2.0;

include "circomlib/circuits/bitify.circom";

// An accumulator of a layer of width `width` and shift `shift`, split into bits.
//
// Relation: y + offset = packed = Σ 2^k · bits[k], offset = 2^(shift−1) + 2^(width−1).
// Ranges:   bits[k] in {0, 1} and packed in [0, 2^width): enforced here (Num2Bits; width < 254, so no alias exists).
//           y in [−offset, 2^width − offset): follows. y enters folds as a signed field element.
template Accumulator(width, shift) {
    assert(shift >= 1 && width > shift && width <= 25);
    signal input y;
    signal output bits[width];
    signal output packed;

    packed <== y + 2 ** (shift - 1) + 2 ** (width - 1);
    component split = Num2Bits(width);
    split.in <== packed;
    bits <== split.out;
}
