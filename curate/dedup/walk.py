"""The order in which rows are decided: group by group, and in each the most preferred first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from curate.dedup import Index

# Text of the rows that are decided together, in bytes. Their shingles take about as much again, and what is
# counted of them stays in a processor's caches: batches of 64 MB took three times as long to prepare.
_BATCH_BYTES: Final = 8 * 2**20


def batches(indexes: Sequence[Index], sizes: NDArray[np.int64]) -> Iterator[list[int]]:
    """The rows that can match another in any of the passes, in batches, each in the order of preference.

    What can match lies in one batch. `sizes`, shape (n,), are bytes of text; a batch has few megabytes more
    than its largest group, or than the usual. The indexes are told which batch comes next.
    """
    from curate.dedup._groups import joined

    groups = joined([index.groups for index in indexes], len(sizes))
    (rows,) = np.nonzero(groups >= 0)
    if not len(rows):
        return
    rows = rows[np.argsort(groups[rows], kind="stable")]
    before = np.cumsum(sizes[rows]) - sizes[rows]
    first = np.flatnonzero(np.diff(groups[rows], prepend=-1))
    numbers = np.unique(before[first] // _BATCH_BYTES, return_inverse=True)[1]
    number = np.repeat(numbers, np.diff(np.append(first, len(rows)))).astype(np.int32)
    batch_of = np.full(len(sizes), -1, np.int32)
    batch_of[rows] = number
    for index in indexes:
        index.prepare(batch_of)
    ends = np.flatnonzero(np.diff(number)) + 1
    for batch, members in enumerate(np.split(rows, ends)):
        for index in indexes:
            index.begin(batch)
        yield np.sort(members).tolist()
