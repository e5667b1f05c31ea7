"""Finds texts that mean the same, by the cosine of their embeddings.

All pairs above a floor are found and kept in a table of their own, so that another threshold, or another order of
preference, computes nothing again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curate.dedup import Index, finds
from curate.dedup.neighbours import Neighbours, Search, neighbours, unsure
from curate.errors import PipelineError


@finds(measure="embedding")
def semantic(
    texts: NDArray[np.float32],
    *,
    threshold: float = 0.9,
    floor: float = 0.8,
    search: Search = "exact",
    device: str = "auto",
) -> Neighbours:
    """Texts whose embeddings have a cosine of at least `threshold`, in whatever words.

    Pairs down to the `floor` are stored, so that another threshold above it needs no new ones. "exact" compares
    all pairs; "flat" and "ivf" are FAISS's, whose recall is measured; "kmeans" compares within clusters, and what
    it misses is estimated. The device "auto" is a GPU, if there is one; the pairs are the same.

    Raises `PipelineError` when a parameter is out of its range, or a vector is no vector.
    """
    if not 0 < threshold <= 1:
        raise PipelineError(
            f"a cosine of {threshold} cannot be a threshold",
            where="semantic, key threshold",
            next="give a number above 0, up to 1; 0.9 is usual",
        )
    if threshold < floor:
        raise PipelineError(
            f"pairs are known from {floor} on, and the threshold is {threshold}",
            where="semantic, key floor",
            next="lower `floor` to the threshold, or further",
        )
    return neighbours(texts, floor=floor, search=search, device=None if device == "auto" else device)


class Joined(Index):
    """The kept rows of a pass whose pairs are known before."""

    def __init__(
        self,
        left: NDArray[np.int64],
        right: NDArray[np.int64],
        similarity: NDArray[np.float64],
        *,
        count: int,
        threshold: float,
        floor: float,
        note: str,
    ) -> None:
        """Pairs of rows below `count` down to the floor, in any order; those below the threshold take no part."""
        from curate.dedup._groups import linked

        # A row is asked for after all that are preferred to it.
        preferred, row = np.minimum(left, right), np.maximum(left, right)
        self._unsure = unsure(row, similarity, count=count, floor=floor, threshold=threshold)
        reached = similarity >= threshold
        preferred, row, similarity = preferred[reached], row[reached], similarity[reached]
        self.groups = linked(preferred, row, count)
        order = np.lexsort((preferred, row))
        self._preferred, self._similarity = preferred[order], similarity[order]
        self._starts: NDArray[np.int64] = np.searchsorted(row[order], np.arange(count + 1))
        self._kept = np.zeros(count, np.bool_)
        self._found_by, self._doubtful = note, 0
        self.note, self.comparisons = note, len(similarity)

    def matches(self, row: int) -> list[tuple[int, float]]:
        own = slice(self._starts[row], self._starts[row + 1])
        kept = self._kept[self._preferred[own]]
        if self._unsure[row] and not kept.any():
            self._doubtful += 1
            stay = f"{self._doubtful:,} rows with more neighbours than were kept of them joined none, and stay"
            self.note = f"{self._found_by}; {stay}"
        return list(zip(self._preferred[own][kept].tolist(), self._similarity[own][kept].tolist(), strict=True))

    def keep(self, row: int) -> None:
        self._kept[row] = True
