pragma circom 2.2.0;

include "circomlib/circuits/poseidon.circom";

// Relation: h ← domain; for each block of up to 15 inputs, h ← Poseidon([h, block…]); out = h.
// Ranges:   any field elements. n is fixed by the circuit and is part of what domain was derived from.
template Sponge(n, domain) {
    assert(n >= 1);
    signal input in[n];
    signal output out;

    var blocks = (n + 14) \ 15;
    component block[blocks];
    for (var k = 0; k < blocks; k++) {
        var size = n - 15 * k;
        if (size > 15) { size = 15; }
        block[k] = Poseidon(size + 1);
        if (k == 0) {
            block[k].inputs[0] <== domain;
        } else {
            block[k].inputs[0] <== block[k - 1].out;
        }
        for (var i = 0; i < size; i++) { block[k].inputs[i + 1] <== in[15 * k + i]; }
    }
    out <== block[blocks - 1].out;
}
