pragma circom 2.2.0;

include "circomlib/circuits/poseidon.circom";

// Relation: h ← domain; for each block of up to 16 inputs, h ← lane 0 of Poseidon's permutation of [h, block…]; out = h.
//           Without inputs, out = domain.
// Ranges:   any field elements. n is fixed by the circuit and is part of what domain was derived from.
template Sponge(n, domain) {
    signal input in[n];
    signal output out;

    var blocks = (n + 15) \ 16;
    component block[blocks];
    for (var k = 0; k < blocks; k++) {
        var size = n - 16 * k;
        if (size > 16) { size = 16; }
        block[k] = PoseidonEx(size, 1);
        if (k == 0) {
            block[k].initialState <== domain;
        } else {
            block[k].initialState <== block[k - 1].out[0];
        }
        for (var i = 0; i < size; i++) { block[k].inputs[i] <== in[16 * k + i]; }
    }
    if (blocks == 0) {
        out <== domain;
    } else {
        out <== block[blocks - 1].out[0];
    }
}
