pragma circom 2.2.0;

// Freivalds' check of one dense layer for `steps` steps at once.
//
// Relation: Σᵢ power[i] · Yᵢ = Σⱼ u[j] · Xⱼ + c · Σ_b 2^(stride·b),
//           Yᵢ = Σ_b 2^(stride·b) · y[b][i],   Xⱼ = Σ_b 2^(stride·b) · x[b][j].
// Ranges:   |x[b][j]| ≤ 127 and y[b][i] within its Accumulator's range: left to the caller.
//           power[i] = rho^(i+1), u = Wᵀ·power, c = power·bias: the caller's and, for u and c, the verifier's.
//
// With |y − (Wx + bias)| < 2^width for every step and row, the equation at a rho drawn after y was fixed implies
// y = Wx + bias but for at most nOut values of rho, provided that stride ≥ width and
// width + stride·(steps − 1) ≤ 253: then errors of different steps cannot add up to a multiple of the field's order.
template FoldUncheckedRanges(steps, nIn, nOut, width, stride) {
    assert(steps >= 1 && stride >= width && width + stride * (steps - 1) <= 253);
    signal input power[nOut];
    signal input x[steps][nIn];
    signal input y[steps][nOut];
    signal input u[nIn];
    signal input c;

    signal left[nOut];
    var leftSum = 0;
    for (var i = 0; i < nOut; i++) {
        var folded = 0;
        for (var b = 0; b < steps; b++) { folded += 2 ** (stride * b) * y[b][i]; }
        left[i] <== power[i] * folded;
        leftSum += left[i];
    }
    signal right[nIn];
    var rightSum = 0;
    for (var j = 0; j < nIn; j++) {
        var folded = 0;
        for (var b = 0; b < steps; b++) { folded += 2 ** (stride * b) * x[b][j]; }
        right[j] <== u[j] * folded;
        rightSum += right[j];
    }
    var ones = 0;
    for (var b = 0; b < steps; b++) { ones += 2 ** (stride * b); }
    leftSum === rightSum + c * ones;
}
