pragma circom 2.2.0;

// Elements that n fields of the given widths take: a field goes into the current element where it still fits 252 bits,
// else it begins the next one.
function packedElements(n, widths) {
    var elements = 1;
    var used = 0;
    for (var i = 0; i < n; i++) {
        if (used + widths[i] > 252) { elements++; used = 0; }
        used += widths[i];
    }
    return elements;
}

// Relation: out[e] = Σ 2^(bits before it in e) · in[i] over the fields i of element e, in order.
// Ranges:   in[i] in [0, 2^widths[i]): left to the caller; it makes the packing injective. out[e] < 2^252 follows.
template PackUncheckedFields(n, widths, elements) {
    assert(elements == packedElements(n, widths));
    signal input in[n];
    signal output out[elements];

    var element = 0;
    var used = 0;
    var place = 1;
    var sum = 0;
    for (var i = 0; i < n; i++) {
        assert(widths[i] >= 1 && widths[i] <= 252);
        if (used + widths[i] > 252) {
            out[element] <== sum;
            element++;
            used = 0;
            place = 1;
            sum = 0;
        }
        sum += place * in[i];
        used += widths[i];
        for (var k = 0; k < widths[i]; k++) { place += place; }
    }
    out[element] <== sum;
}
