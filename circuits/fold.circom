pragma circom 2.2.0;

// Freivalds' check of all layers of a network for `steps` steps at once, but for what the verifier knows of it.
//
// Relation: out = Σᵢ rho^(i+1) · Yᵢ − Σⱼ v[j] · Xⱼ,
//           Yᵢ = Σ_b 2^(stride·b) · y[b][i],   Xⱼ = Σ_b 2^(stride·b) · x[b][j].
// Ranges:   y[b][i] within its Accumulator's range, of at most `width` bits, and x[b][j] in [0, 127]: left to the caller.
//           rho, v: the verifier's own; rho is non-zero by its derivation.
//
// y are the accumulators of all layers, x the values that the layers after the first take, v those layers' weights folded
// at rho. With the observations and biases folded likewise into the caller's own number F, out = F says that
// Σᵢ rho^(i+1) · Σ_b 2^(stride·b) · e[b][i] = 0 for the errors e of y, each against what its own layer makes of its input.
// With |e| < 2^width this implies e = 0 at all but fewer than nOut values of rho, if rho was drawn after y was fixed and
// stride ≥ width and width + stride·(steps − 1) ≤ 253: then errors of different steps cannot add up to a multiple of the
// field's order. Powers of rho by Horner's rule: one product a row.
template FoldUncheckedRanges(steps, nIn, nOut, width, stride) {
    assert(steps >= 1 && nOut >= 1 && stride >= width && width + stride * (steps - 1) <= 253);
    signal input rho;
    signal input y[steps][nOut];
    signal input x[steps][nIn];
    signal input v[nIn];
    signal output out;

    // 2^(stride·b), by doubling: a witness calculator takes a power by some 250 squarings.
    var place[steps];
    place[0] = 1;
    for (var b = 1; b < steps; b++) {
        place[b] = place[b - 1];
        for (var k = 0; k < stride; k++) { place[b] += place[b]; }
    }
    signal from[nOut];
    for (var i = nOut - 1; i >= 0; i--) {
        var folded = 0;
        for (var b = 0; b < steps; b++) { folded += place[b] * y[b][i]; }
        if (i < nOut - 1) { folded += from[i + 1]; }
        from[i] <== folded * rho;
    }
    signal part[nIn];
    var sum = 0;
    for (var j = 0; j < nIn; j++) {
        var folded = 0;
        for (var b = 0; b < steps; b++) { folded += place[b] * x[b][j]; }
        part[j] <== v[j] * folded;
        sum += part[j];
    }
    out <== from[0] - sum;
}
