"""What compiled loops have in common: to take characters out of bytes, and to mix the bits of a hash.

numba keeps a loop compiled until the file of that loop changes, so whoever changes something here saves what
imports it as well.
"""

# mypy: ignore-errors

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

# The odd numbers of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): its factors, and the step of its states.
ONE: Final = np.uint64(0xBF58476D1CE4E5B9)
TWO: Final = np.uint64(0x94D049BB133111EB)
GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)

# What only compiled loops call is compiled and kept as a part of them.
part: Final = njit(no_cpython_wrapper=True)


@part
def decoded(data, place):
    """The code point that begins at a place of UTF-8, and how many bytes it has."""
    first = np.int64(data[place])
    if first < 0x80:
        return first, 1
    point, size = first & 0x1F, 2
    if first >= 0xE0:
        point, size = first & 0x0F, 3
    if first >= 0xF0:
        point, size = first & 0x07, 4
    for more in range(1, size):
        point = point << 6 | np.int64(data[place + more]) & 0x3F
    return point, size


@part
def finalised(hash):
    """SplitMix64's finaliser: each bit of the hash takes part in all."""
    hash = (hash ^ hash >> np.uint64(30)) * ONE
    hash = (hash ^ hash >> np.uint64(27)) * TWO
    return hash ^ hash >> np.uint64(31)
