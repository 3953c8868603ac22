pragma circom 2.2.0;

include "circomlib/circuits/comparators.circom";

// Requantisation with ReLU, from the bits of an Accumulator of the same width and shift.
//
// Relation: out = clamp(⌊(y + 2^(shift−1)) / 2^shift⌋, 0, 127).
// Ranges:   bits[k] in {0, 1}: left to the caller (Accumulator enforces it). out in [0, 127]: follows.
//
// The top bit says that y + 2^(shift−1) ≥ 0. low are the seven bits from `shift` up, high the bits above them with
// 2^(width−1) taken off, so high = 0 says that the shifted value lies in [0, 127]:
//   high = 0 (then sign = 1): low;   high > 0 (sign = 1): 127;   high < 0 (sign = 0): 0.
template RequantiseUncheckedBits(width, shift) {
    assert(shift >= 1 && width > shift);
    signal input bits[width];
    signal output out;

    var lowEnd = shift + 7;
    if (lowEnd > width - 1) { lowEnd = width - 1; }
    var low = 0;
    for (var k = shift; k < lowEnd; k++) { low += bits[k] * 2 ** (k - shift); }

    if (lowEnd == width - 1) {
        // No value of this width shifts beyond 127: only the sign is left to apply.
        out <== low * bits[width - 1];
    } else {
        var high = 0;
        for (var k = lowEnd; k < width; k++) { high += bits[k] * 2 ** (k - lowEnd); }
        component inRange = IsZero();
        inRange.in <== high - 2 ** (width - 1 - lowEnd);
        out <== low * inRange.out + 127 * (bits[width - 1] - inRange.out);
    }
}
