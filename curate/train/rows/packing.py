"""Rows put together into sequences of a given length, so that less of what is computed is padding.

No row sees another: the trainer is told the length of each (Packing of variable length; arXiv 2107.02027, Krell
et al.).
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from curate.errors import CurateError


def packs(lengths: NDArray[np.int64], max_tokens: int) -> list[NDArray[np.int64]]:
    """The rows of each pack: the longest row first, each where it leaves the least room (best fit decreasing).

    Of equally long rows the earlier comes first, and of equally good packs the later. A best-fit packing needs
    at most 11/9 of the fewest packs possible, and 4 more (Johnson, 1973).

    Raises `CurateError` for a row longer than a pack.
    """
    if len(lengths) and int(lengths.max()) > max_tokens:
        raise CurateError(f"a row of {int(lengths.max()):,} tokens does not fit a pack of {max_tokens:,}")
    packed: list[list[int]] = []
    by_room: defaultdict[int, list[int]] = defaultdict(list)
    rooms = 0  # the rooms that some pack has, as bits: the least that suffices is found in one step
    for row in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[row])
        enough = rooms >> length
        if enough:
            room = length + (enough & -enough).bit_length() - 1
            pack = by_room[room].pop()
            if not by_room[room]:
                rooms ^= 1 << room
        else:
            room, pack = max_tokens, len(packed)
            packed.append([])
        packed[pack].append(row)
        by_room[room - length].append(pack)
        rooms |= 1 << (room - length)
    return [np.array(rows, np.int64) for rows in packed]
