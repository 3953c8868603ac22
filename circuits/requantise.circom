pragma circom 2.2.0;

// Requantisation with ReLU, from the bits of an Accumulator of the same width and shift.
//
// Relation: out = clamp(⌊(y + 2^(shift−1)) / 2^shift⌋, 0, 127).
// Ranges:   bits[k] in {0, 1}: left to the caller (Accumulator enforces it). out in [0, 127]: follows.
//
// The top bit, sign, says that y + 2^(shift−1) ≥ 0. low are the seven bits from `shift` up, high the bits above them less
// 2^(width−1−shift−7), so high = 0 says that the shifted value lies in [0, 127]:
//   high = 0 (then sign = 1): low;   high > 0 (sign = 1): 127;   high < 0 (sign = 0): 0.
// high · (out − 127·sign) = 0 says so where high ≠ 0, high · factor = out − low where high = 0. There factor is free, and
// nothing else reads it.
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
        var high = 0 - 2 ** (width - 1 - lowEnd);
        for (var k = lowEnd; k < width; k++) { high += bits[k] * 2 ** (k - lowEnd); }
        signal factor;
        out <-- high == 0 ? low : 127 * bits[width - 1];
        factor <-- high == 0 ? 0 : (out - low) / high;
        high * (out - 127 * bits[width - 1]) === 0;
        high * factor === out - low;
    }
}
