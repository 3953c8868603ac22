pragma circom 2.2.0;

// Relation: power[i] = rho^(i+1), for i < n.
// Ranges:   field elements; rho is a public input, non-zero by its derivation.
template Powers(n) {
    assert(n >= 1);
    signal input rho;
    signal output power[n];

    power[0] <== rho;
    for (var i = 1; i < n; i++) { power[i] <== power[i - 1] * rho; }
}
