"""Prints SHA-256 of the Gumbel table, computed with 400-bit arithmetic, and how close an entry comes to a tie.

    pip install mpmath
    python test/vectors/gumbel.py
"""

import hashlib
import struct

import mpmath as mp

mp.mp.prec = 400
table = bytearray()
nearest = mp.mpf(1)
for k in range(65536):
    value = -1024 * mp.log(-mp.log((mp.mpf(k) + mp.mpf(1) / 2) / 65536)) + mp.mpf(1) / 2
    entry = mp.floor(value)
    nearest = min(nearest, value - entry, entry + 1 - value)
    table += struct.pack("<h", int(entry))
print(hashlib.sha256(table).hexdigest())
print("nearest to a tie:", mp.nstr(nearest, 5))
